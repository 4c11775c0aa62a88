"""A part that a service which speaks HTTP gives: asked like the target of a route of its own, for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from edge.aggregate.parts import Declined
from edge.cache.flights import FOR_NOW
from edge.digits import read_exactly
from edge.problems import MEDIA_TYPE
from edge.rpc.failures import NotExecuted
from edge.targets.http import Steering, path_of, sender_of
from edge.upstreams.failures import Unusable
from edge.upstreams.forwarding import forward
from edge.upstreams.headers import to_service
from edge.upstreams.pool import Outgoing
from edge.upstreams.streaming import streamed

if TYPE_CHECKING:
    from sanic import HTTPResponse

    from edge.aggregate.policy import PartPolicy
    from edge.exchange import Exchange
    from edge.routes import Route
    from edge.upstreams.policy import HttpPolicy

MOST_BYTES = 1_000_000
ROOM = 32
"""Levels of JSON, of the 254 that can be written, that are left to what a part is put into: the answer, ``nest``."""

OK = 200
CLIENT_FAULTS = range(400, 500)
PASSED_ON = frozenset({"accept-language"})
"""The client's other headers are about the whole answer; of its secrets those go on that the policy names."""


class HttpFetch:
    """Asks the service of one part. Its arguments travel in the query, but for those in the path."""

    def __init__(self, route: Route, part: PartPolicy, policy: HttpPolicy) -> None:
        self._name = f"{route.policy.name}.{part.name}"
        self._policy = policy
        self._template = (policy.path or route.policy.path).split("/")
        self._steering = Steering(policy)
        self._passed_on = PASSED_ON | set(policy.credentials)

    async def __call__(self, exchange: Exchange, arguments: dict[str, Any]) -> Any:
        """The JSON it answers. Raises :class:`Declined` for a 4xx, else what targets raise."""
        upstreams = exchange.equipment.collaborators.upstreams
        ask = self._steering.ask(exchange, self._outgoing(exchange, arguments))
        lease, answer = await forward(upstreams.way(self._name, self._policy), ask, upstreams.connections.ask)
        whole = await streamed(answer, lease, self._policy).gathered(MOST_BYTES)
        if whole.status in CLIENT_FAULTS:
            raise Declined(whole, is_for_now=whole.status in FOR_NOW or _is_retryable(whole))
        if whole.status > max(CLIENT_FAULTS):
            raise NotExecuted(f"the service answered {whole.status}")
        return _value(whole)

    def _outgoing(self, exchange: Exchange, arguments: dict[str, Any]) -> Outgoing:
        headers = exchange.request.headers
        offered = [(name, value) for name, value in headers.items() if name.lower() in self._passed_on]
        asked = [*offered, ("accept", "application/json"), ("accept-encoding", "identity")]
        query = urlencode([(name, _text(value)) for name, value in arguments.items()])
        return Outgoing(
            method="GET",
            target=path_of(self._template, exchange.variables) + (f"?{query}" if query else ""),
            fields=to_service(asked, sender_of(exchange), credentials=self._policy.credentials),
            connect=self._policy.connect,
        )


def _is_retryable(answer: HTTPResponse) -> bool:
    """Whether it is a problem document in which the service says so itself, as ours do."""
    if not str(answer.headers.get("content-type", "")).lower().startswith(MEDIA_TYPE):
        return False
    try:
        document = orjson.loads(answer.body or b"")
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get("retryable") is True


def _value(answer: HTTPResponse) -> Any:
    if answer.status != OK or set(answer.headers.getall("content-encoding", [])) - {"identity"}:
        raise Unusable(f"a part needs a plain 200, not {answer.status}")
    try:
        value = read_exactly(answer.body or b"")
        orjson.dumps(_put_deeper(value))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        raise Unusable("a part needs JSON of not too many levels") from None
    return value


def _put_deeper(value: Any) -> Any:
    for _ in range(ROOM):
        value = [value]
    return value


def _text(value: Any) -> str:
    """As it stands in a query: ``true`` as JSON has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
