"""The target of routes that lead to a service which speaks HTTP: the request goes on, and the answer comes back."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson
import structlog
from sanic import HTTPResponse

from edge.addresses import network_of
from edge.answers import JSON
from edge.exchange import Exchange
from edge.problems import Rejected
from edge.rpc.failures import CallFailure
from edge.upstreams.delivery import patience
from edge.upstreams.failures import Unusable
from edge.upstreams.forwarding import Ask, forward
from edge.upstreams.headers import Fields, Sender, to_service
from edge.upstreams.pool import Outgoing
from edge.upstreams.streaming import streamed
from edge.upstreams.tunnel import Side, Tunnel, asks_for_websocket, shake_hands
from edge.upstreams.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import ClientResponse

    from edge.routes import Route
    from edge.upstreams.policy import HttpPolicy
    from edge.upstreams.way import Lease

log = structlog.get_logger()

MOST_KEPT_BYTES = 1_000_000
"""Of an answer that must be had whole: because it is kept, or its client cannot be told where it ends."""

CHAIN = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via")
DOTS = {".", ".."}
_SLASHES = re.compile("%2F|%5C")


class Steering:
    """What of a request decides which instance, of which version, it goes to."""

    def __init__(self, policy: HttpPolicy) -> None:
        versions = policy.versions
        self._hash, _, self._hash_header = (policy.hash or "").partition(" ")
        self._version_header = versions.header.name if versions and versions.header else None
        self._sticky = (versions.sticky if versions else None) or ""

    def ask(self, exchange: Exchange, outgoing: Outgoing, *, holder: str | None = None) -> Ask:
        """What goes out for this request, with all that the balancing goes by; ``holder`` as ``Ask`` has it."""
        return Ask(
            outgoing=outgoing,
            deadline=exchange.deadline,
            key=_key_of(exchange, self._hash, self._hash_header),
            named=exchange.header(self._version_header) if self._version_header else None,
            stays=_key_of(exchange, self._sticky, ""),
            holder=holder,
        )


class HttpTarget:
    """Serves one route, with everything prepared that the table alone decides."""

    def __init__(self, route: Route, policy: HttpPolicy) -> None:
        self._name = route.policy.name
        self._policy = policy
        self._template = (policy.path or route.policy.path).split("/")
        self._steering = Steering(policy)

    async def __call__(self, exchange: Exchange) -> HTTPResponse:
        """Send the request on. The answer's body is delivered after the stages."""
        is_tunnel = self._policy.websocket and asks_for_websocket(exchange.request)
        outgoing = _outgoing(exchange, self._policy, self._template)
        ask = self._steering.ask(exchange, outgoing, holder=_holder(exchange) if is_tunnel else None)
        began = time.perf_counter()
        try:
            if is_tunnel:
                return await self._switched(exchange, ask)
            return await self._answered(exchange, ask)
        finally:
            exchange.rpc_seconds += time.perf_counter() - began

    async def _switched(self, exchange: Exchange, ask: Ask) -> HTTPResponse:
        way = exchange.equipment.collaborators.upstreams.way(self._name, self._policy)
        lease, side = await forward(way, ask, shake_hands)
        if isinstance(side, Side):
            return Tunnel(side, lease, self._policy, has_ended=_end_of(exchange))
        lease.release()
        return side

    async def _answered(self, exchange: Exchange, ask: Ask) -> HTTPResponse:
        lease, answer = await self._forwarded(exchange, ask)
        try:
            passed = streamed(answer, lease, self._policy, ask.upload, has_ended=_end_of(exchange))
        except Unusable as unusable:
            log.warning("upstream.head.unusable", route=self._name, reason=unusable.reason)
            raise
        is_endless = exchange.request.version == "1.0" and passed.length is None
        if exchange.matched.policy.cache is not None:
            passed.headers.setdefault("cache-control", exchange.matched.policy.answer.cache_control)
            if not is_endless:
                return await passed.kept(MOST_KEPT_BYTES)
        elif not is_endless:
            return passed
        return await passed.gathered(MOST_KEPT_BYTES)

    async def _forwarded(self, exchange: Exchange, ask: Ask) -> tuple[Lease, ClientResponse]:
        """Asked while the body comes, the connection's own clock must give it the time that the route does."""
        upstreams = exchange.equipment.collaborators.upstreams
        way = upstreams.way(self._name, self._policy)
        if ask.upload is None:
            return await forward(way, ask, upstreams.connections.ask)
        seconds = exchange.deadline.remaining()
        try:
            with patience(exchange.request, upload=seconds, answer=seconds):
                return await forward(way, ask, upstreams.connections.ask)
        except (CallFailure, Rejected):
            await ask.upload.discard(exchange.deadline.remaining())
            raise


def _outgoing(exchange: Exchange, policy: HttpPolicy, template: list[str]) -> Outgoing:
    request, changes = exchange.request, exchange.matched.transforms
    query = f"?{request.query_string}" if request.query_string else ""
    fields = to_service(request.headers.items(), sender_of(exchange), credentials=policy.credentials)
    if changes is not None:
        fields = changes.request_fields(fields)
    body = _body(exchange, fields)
    return Outgoing(
        method=request.method,
        target=path_of(template, exchange.variables) + query,
        fields=fields,
        body=body,
        connect=policy.connect,
    )


def _body(exchange: Exchange, fields: Fields) -> Upload | bytes | None:
    """The body as it goes on, and its length among the fields: the edge alone says where a body ends."""
    request = exchange.request
    if exchange.matched.upload_limit is None:
        raw = orjson.dumps(exchange.body) if request.body or exchange.body else b""
        if raw:
            fields.append(("content-length", str(len(raw))))
        if raw and "content-type" not in request.headers:
            fields.append(("content-type", JSON))
        return raw or None
    length = int(request.headers.get("content-length", "0"))
    if not length:
        if request.method not in {"GET", "HEAD", "DELETE"}:
            fields.append(("content-length", "0"))
        return None
    fields.append(("content-length", str(length)))
    return Upload(request.stream, length)  # type: ignore[arg-type]  # only HTTP/1 is served, whose stream can be read


def path_of(template: list[str], variables: dict[str, str]) -> str:
    """The path with its variables filled in, each within its own segment. Raises :class:`Rejected`."""
    segments = []
    for part in template:
        if "{" not in part:
            segments.append(part)
            continue
        filled = part
        for name, value in variables.items():
            filled = filled.replace(f"{{{name}}}", quote(value, safe="-._~!$&'()*+,;=:@"))
        if _climbs(filled):
            raise Rejected("route.not_found", "There is nothing at this path.")
        segments.append(filled)
    return "/".join(segments)


def _climbs(segment: str) -> bool:
    """Whether some service could read it as a way upwards: many take ``%2F`` for a slash, and ``;`` for an end."""
    return any(part.partition(";")[0] in DOTS for part in _SLASHES.split(segment))


def sender_of(exchange: Exchange) -> Sender:
    """Who asks, as the service is told; what a trusted proxy said before is kept."""
    request, caller = exchange.request, exchange.caller
    headers = request.headers
    trusted = exchange.equipment.proxies.trusts(request.ip)
    before = {name: ", ".join(headers.getall(name)) for name in CHAIN if name in headers} if trusted else {}
    return Sender(
        address=request.ip if trusted else exchange.address,
        scheme="http",
        host=exchange.header("host") or "",
        request_id=exchange.request_id,
        traceparent=exchange.traceparent,
        caller_id=caller.user_id if caller else None,
        is_client=caller.is_client if caller else False,
        scopes=caller.scopes if caller else (),
        user_class=exchange.caller_class,
        before=before,
    )


def _holder(exchange: Exchange) -> str:
    """Whose tunnel it is; no guest can be taken for a caller."""
    caller = exchange.caller
    return f"user {caller.user_id}" if caller is not None else f"address {network_of(exchange.address)}"


def _end_of(exchange: Exchange) -> Callable[[], bool]:
    """Tells whether what lasts must end: with its caller's session or key, or when no token could be judged any more.

    The latter has a grace of its own (``DEAF_SECONDS``), and new requests are refused from the same moment on.
    """
    caller, equipment = exchange.caller, exchange.equipment
    if caller is None:
        return lambda: False
    if not caller.expires_at:  # a plugin knows this one: without a token there is no session, only a user
        return lambda: equipment.collaborators.revocations.ended(caller)
    return lambda: not equipment.verifier.stands_by(caller)


def _key_of(exchange: Exchange, kind: str, header: str) -> bytes:
    """What stays together by this rule; a guest is known by address."""
    if not kind:
        return b""
    if kind == "header" and (value := exchange.header(header)) is not None:
        return value.encode()
    if kind == "caller" and exchange.caller is not None:
        return exchange.caller.user_id.encode()
    return exchange.address.encode()
