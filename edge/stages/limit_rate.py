"""Keeps one address, and one caller, from taking more than their share.

A read that a caller asks for who is far from their limit is on its way while Redis still judges: no request waits twice
where once will do. Its answer is given when the verdict is there, and not given if that is a refusal; so all that a
wrong guess costs is a read for nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from sanic import HTTPResponse

from edge.addresses import network_of
from edge.composing import only_for
from edge.exchange import Exchange, Target
from edge.limiting.limiter import Awaited
from edge.limiting.limits import Limit, LimitsAway, Verdict, limit_headers
from edge.problems import Rejected
from edge.routes import Route
from edge.stages.authenticate import recognized


@only_for(lambda route: route.by_address is not None)
def limit_rate_by_address(exchange: Exchange, proceed: Target) -> Awaitable[HTTPResponse]:
    """Before anything costly: count the client's address, and with it the caller, if it is known already who calls."""
    judged = _judged_meanwhile if _may_run_for_nobody(exchange.matched) else _judged_before
    return judged(exchange, proceed)


def _may_run_for_nobody(route: Route) -> bool:
    """A read of a service changes nothing; what a plugin does nobody knows."""
    return route.method is not None and not route.method.mutating and not route.policy.plugins


async def _judged_before(exchange: Exchange, proceed: Target) -> HTTPResponse:
    await _take(exchange, *_known_windows(exchange))
    return _announced(exchange, await proceed(exchange))


async def _judged_meanwhile(exchange: Exchange, proceed: Target) -> HTTPResponse:
    limits, keys = _known_windows(exchange)
    asked = _ask(exchange, limits, keys)
    if not isinstance(asked, Awaited) or not exchange.equipment.limiter.headroom.take(keys):
        await _judge(exchange, asked)
        return _announced(exchange, await proceed(exchange))
    try:
        response = await proceed(exchange)
    except Exception:
        await _judge(exchange, asked)  # a refusal comes before any other fault
        raise
    await _judge(exchange, asked)
    return _announced(exchange, response)


def _announced(exchange: Exchange, response: HTTPResponse) -> HTTPResponse:
    response.headers.update(limit_headers(exchange.verdicts))
    return response


@only_for(lambda route: route.by_caller is not None)
def limit_rate_by_caller(exchange: Exchange, proceed: Target) -> Awaitable[HTTPResponse]:
    """Once it is known who calls: count the user, wherever they call from, unless that was done with the address."""
    limit, caller = exchange.matched.by_caller, exchange.caller
    if exchange.is_caller_counted or limit is None or caller is None:
        return proceed(exchange)
    return _take_then(exchange, limit, caller.user_id, proceed)


async def _take_then(exchange: Exchange, limit: Limit, who: str, proceed: Target) -> HTTPResponse:
    await _take(exchange, (limit,), (limit.key(who),))
    return await proceed(exchange)


def _known_windows(exchange: Exchange) -> tuple[tuple[Limit, ...], tuple[str, ...]]:
    route, network = exchange.matched, network_of(exchange.address)
    first, second = route.by_address, route.by_caller
    if first is None:
        return (), ()
    who = None if second is None else _known_caller(exchange, network)
    if second is None or who is None:
        return (first,), (first.key(network),)
    exchange.is_caller_counted = True
    return (first, second), (first.key(network), second.key(who))


def _known_caller(exchange: Exchange, network: str) -> str | None:
    """Who is counted as the caller, if that is clear before authentication: a guest by the network.

    One who lacks a scope is not: the refusal that follows must not cost them anything.
    """
    policy = exchange.matched.policy
    if policy.plugins:
        return None  # one of them may know another
    exchange.caller = caller = recognized(exchange)
    if caller is not None:
        return caller.user_id if caller.scopes.issuperset(policy.scopes) else None
    is_guest = policy.auth == "optional" and "authorization" not in exchange.request.headers
    return f"guest/{network}" if is_guest else None


async def _take(exchange: Exchange, limits: Sequence[Limit], keys: tuple[str, ...]) -> None:
    await _judge(exchange, _ask(exchange, limits, keys))


def _ask(exchange: Exchange, limits: Sequence[Limit], keys: tuple[str, ...]) -> Awaited | list[Verdict]:
    try:
        return exchange.equipment.limiter.ask(limits, keys)
    except LimitsAway:
        raise _unjudged() from None


async def _judge(exchange: Exchange, asked: Awaited | list[Verdict]) -> None:
    """Let the request pass, or raise what is said to it."""
    try:
        verdicts = await exchange.equipment.limiter.told(asked) if isinstance(asked, Awaited) else asked
    except LimitsAway:
        raise _unjudged() from None
    exchange.verdicts += verdicts
    refused = [one for one in verdicts if not one.allowed]
    if refused:
        raise _refusal(refused)


def _unjudged() -> Rejected:
    return Rejected("service.unavailable", "Limits cannot be judged right now.", retry_after=1)


def _refusal(refused: Sequence[Verdict]) -> Rejected:
    longest = max(refused, key=lambda one: one.reset)
    return Rejected(
        "quota.exceeded",
        f"At most {longest.quota} requests in {longest.window} seconds. Nothing was changed.",
        retry_after=longest.reset,
        violated_policies=[one.name for one in refused],
    )
