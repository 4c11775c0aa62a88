"""Connections to instances: kept for the next request, let go when idle, and every way they fail told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from edge.upstreams.failures import Broken, Unreached, Unusable
from edge.upstreams.tracing import asking, noted, under

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from edge.discovery.table import Instance
    from edge.upstreams.headers import Fields

IDLE_SECONDS = 4.0
"""Shorter than the five seconds after which many servers close an idle connection: else both would use it at once."""

ADDRESSES_SECONDS = 10
READ_BYTES = 65_536
SWITCHING = 101
NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")

_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request to send. ``target`` is path and query as they go over the wire; ``connect`` is in seconds."""

    method: str
    target: str
    fields: Fields
    body: AsyncIterable[bytes] | bytes | None = None
    connect: float = 1.0


class Connections:
    """One worker's. How many there are per instance is bounded by those who ask."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, instance: Instance, outgoing: Outgoing) -> aiohttp.ClientResponse:
        """Send a request; gives the answer as soon as its head is there. Raises what ``failures`` names.

        Nothing is followed, unpacked or tried again here.
        """
        with asking(instance, outgoing.method) as span:
            answer = await self._sent(instance, outgoing, under(span, outgoing.fields))
            noted(span, answer.status)
        if answer.status <= SWITCHING:
            answer.close()
            raise Unusable(f"a status that nobody asked for: {answer.status}")
        return answer

    async def _sent(self, instance: Instance, outgoing: Outgoing, fields: Fields) -> aiohttp.ClientResponse:
        try:
            return await self._opened().request(
                outgoing.method,
                url_of(instance, outgoing.target),
                headers=fields,
                data=outgoing.body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=outgoing.connect),
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:
            raise translated(fault) from fault

    async def close(self) -> None:
        """Close all of them."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Made at the first request, inside the loop that it belongs to."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=IDLE_SECONDS, ttl_dns_cache=ADDRESSES_SECONDS
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=NOT_ADDED,
                auto_decompress=False,
                read_bufsize=READ_BYTES,
                middlewares=(_once,),
            )
        return self._session


def url_of(instance: Instance, target: str) -> URL:
    """Where ``target`` is on this instance: host and port are Consul's, whatever the target says."""
    path, _, query = target.partition("?")
    return URL.build(scheme="http", host=instance.host, port=instance.port, path=path, query_string=query, encoded=True)


def translated(fault: Exception) -> Unreached | Broken | Unusable:
    """What a fault of the connection says about the request's fate."""
    reason = f"{type(fault).__name__}: {fault}"[:200]
    if isinstance(fault, _NOT_CONNECTED):
        return Unreached(reason)
    if isinstance(fault, aiohttp.ClientConnectionError | TimeoutError | OSError):
        return Broken(reason)
    return Unusable(reason)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """The client would repeat a request on its own when a connection breaks: it must not, the budget decides."""
    try:
        return await handler(request)
    except _NOT_CONNECTED:
        raise
    except aiohttp.ClientConnectionError as fault:
        raise aiohttp.ClientConnectionError(str(fault) or type(fault).__name__) from fault
