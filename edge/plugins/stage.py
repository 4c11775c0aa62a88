"""Runs a plugin as a stage: what it does wrong is one request's 500, and nothing but its own part of it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import structlog
from sanic.compat import Header

from edge.plugins.fields import check_fields, check_framing, told_of_framing
from edge.plugins.messages import Caller, Refused, Request, Response
from edge.tokens import Caller as KnownCaller
from edge.upstreams.delivery import Delivered
from shared.contracts.refusals import Internal
from shared.metrics.counting import failures_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanic import HTTPResponse

    from edge.exchange import Around, Exchange, Target
    from edge.plugins.fields import Told
    from edge.plugins.plugin import Handler, Plugin

log = structlog.get_logger()

STATUSES = range(200, 600)
_WHO = re.compile(r"[\x21-\x7e]{1,128}")


def stage_of(name: str, plugin: Plugin, handler: Handler) -> Around:
    """The plugin ``name`` as a stage of one route."""
    count = failures_of(name)
    may_name_caller = plugin.place == "before authenticate"

    async def run(exchange: Exchange, proceed: Target) -> HTTPResponse:
        way = _Way(exchange, proceed, name, may_name_caller=may_name_caller)
        try:
            await exchange.equipment.collaborators.plugins.open(name, plugin)
            return _checked(await handler(way.request, way.proceed), way)
        except (Refused, GeneratorExit):  # the latter: nobody waits for this request any more
            raise
        except asyncio.CancelledError as cancelled:
            if cancelled is way.fault or _is_called_off():
                raise
            raise _failed(name, cancelled, count) from None  # something of the plugin's own, which nobody waits for
        except BaseException as fault:  # SystemExit would end the worker, and all else here leave the client unanswered
            if fault is way.fault:  # it comes from behind the plugin, and says more than we could
                raise
            raise _failed(name, fault, count) from None

    return run


class _Way:
    """One request at one plugin."""

    __slots__ = (
        "_exchange", "_has_proceeded", "_may_name_caller", "_name", "_proceed", "came", "fault", "request", "status",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, proceed: Target, name: str, *, may_name_caller: bool) -> None:
        self._exchange = exchange
        self._proceed = proceed
        self._name = name
        self._may_name_caller = may_name_caller
        self._has_proceeded = False
        self.fault: BaseException | None = None
        self.status: int | None = None
        self.came: Told = {}
        self.request = _seen(exchange)

    async def proceed(self, request: Request) -> Response:
        """Take over what the plugin changed, and go on. Raises ``ValueError`` for what is not its to change."""
        if self._has_proceeded:
            raise ValueError("a plugin proceeds once")
        self._has_proceeded = True
        self._take(request)
        try:
            answer = await self._proceed(self._exchange)
        except BaseException as fault:
            self.fault = fault
            raise
        self.status, self.came = answer.status, told_of_framing(answer.headers)
        return Response.around(answer)

    def _take(self, request: Request) -> None:
        exchange = self._exchange
        if request.headers != exchange.request.headers:
            if told_of_framing(request.headers) != told_of_framing(exchange.request.headers):
                raise ValueError("what a connection and a body are like is not the plugin's to say")
            check_fields(request.headers)
            exchange.request.headers = Header(request.headers)
        if request.caller == _shown(exchange):
            return
        if not self._may_name_caller:
            raise ValueError("who calls is settled before this place")
        exchange.caller = _known(request.caller, self._name)


def _seen(exchange: Exchange) -> Request:
    request, route = exchange.request, exchange.matched
    return Request(
        method=request.method,
        path=request.path,
        query=request.query_string,
        route=route.policy.name,
        request_id=exchange.request_id,
        address=exchange.address,
        variables=dict(exchange.variables),
        headers=Header(request.headers),
        body=request.body if route.upload_limit is None else None,
        caller=_shown(exchange),
    )


def _shown(exchange: Exchange) -> Caller | None:
    caller = exchange.caller
    return None if caller is None else Caller(caller.user_id, caller.scopes, caller.is_client)


def _known(caller: Caller | None, plugin: str) -> KnownCaller | None:
    """As the stages after this one know callers. Without a token there is no session that could end."""
    if caller is None:
        return None
    if _WHO.fullmatch(caller.user_id) is None:
        raise ValueError("a caller's user_id has 1 to 128 printable ASCII characters without spaces")
    return KnownCaller(
        caller.user_id,
        f"plugin/{plugin}",
        frozenset(caller.scopes),
        expires_at=0,
        is_client=bool(caller.is_client),
    )


def _is_called_off() -> bool:
    """Whether it is the request that was cancelled: its client has gone, or its time is over."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _checked(response: object, way: _Way) -> HTTPResponse:
    """Of what came from behind the plugin all may stay: the edge alone can switch protocols (101)."""
    if not isinstance(response, Response):
        raise TypeError(f"a plugin answers with a Response, not with {type(response).__name__}")
    if response.status != way.status and response.status not in STATUSES:
        raise ValueError(f"a plugin answers with a status from 200 to 599, not with {response.status!r}"[:200])
    answer = response.answer
    check_fields(response.headers)
    check_framing(response.headers, way.came, size=None if isinstance(answer, Delivered) else len(answer.body or b""))
    return answer


def _failed(name: str, fault: BaseException, count: Callable[[], None]) -> Internal:
    count()
    log.error("edge.plugin_failed", plugin=name, exc_info=fault)
    return Internal()
