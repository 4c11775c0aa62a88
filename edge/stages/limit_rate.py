"""Keeps one address, and one caller, from taking more than their share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from sanic import HTTPResponse

from edge.addresses import network_of
from edge.composing import only_for
from edge.exchange import Exchange, Target
from edge.limiting.limiter import Asking
from edge.limiting.limits import Limit, LimitsAway, Verdict, limit_headers
from edge.problems import Rejected
from edge.routes import NotRouted, Route
from edge.stages.authenticate import recognized
from edge.stages.authorize import is_entitled


@only_for(lambda route: route.by_address is not None)
async def limit_rate_by_address(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Before anything costly: count the client's address, and with it the caller, if it is known already who calls.

    A read that will most likely be within its limits is under way meanwhile.
    """
    limits, keys = _known_windows(exchange)
    goes_on = _only_reads(exchange.matched) and _is_all(exchange)
    asking = exchange.equipment.limiter.begin(limits, keys) if goes_on else None
    if asking is None:
        await _take(exchange, limits, keys)
        response = await proceed(exchange)
    else:
        response = await _meanwhile(exchange, asking, proceed)
    response.headers.update(limit_headers(exchange.verdicts))
    return response


@only_for(lambda route: route.by_caller is not None)
def limit_rate_by_caller(exchange: Exchange, proceed: Target) -> Awaitable[HTTPResponse]:
    """Once it is known who calls: count the user, wherever they call from, unless that was done with the address.

    Who is nobody by now is a guest, and counts by the network.
    """
    limit, caller = exchange.matched.by_caller, exchange.caller
    if exchange.is_caller_counted or limit is None:
        return proceed(exchange)
    who = _guest(network_of(exchange.address)) if caller is None else caller.user_id
    return _take_then(exchange, limit, who, proceed)


async def limit_rate_of_unrouted(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Who tries paths and methods at random, or asks for methods, is counted by address, like whoever reads.

    Preflights are not: a browser asks them by itself, before a request that is then counted.
    """
    limit = exchange.snapshot.table.unrouted
    if limit is None or _is_preflight(exchange):
        return await proceed(exchange)
    await _take(exchange, (limit,), (limit.key(network_of(exchange.address)),))
    response = await proceed(exchange)
    response.headers.update(limit_headers(exchange.verdicts))
    return response


def _is_preflight(exchange: Exchange) -> bool:
    """Whether a browser asks so for a page that may call us: about a path that is there, and without a body.

    Pages of other origins get no further than this question: no request follows that would be counted.
    """
    request = exchange.request
    if request.method != "OPTIONS" or "access-control-request-method" not in request.headers:
        return False
    if exchange.header("origin") not in exchange.equipment.collaborators.settings.cors_origins:
        return False
    found, _ = exchange.snapshot.table.find(request.method, request.path)
    return isinstance(found, NotRouted) and bool(found.allowed) and exchange.header("content-length") in {None, "0"}


def _only_reads(route: Route) -> bool:
    """Whether nobody would notice an answer that is thrown away: what others do, services and plugins, is their own."""
    policy = route.policy
    return not route.mutating and not policy.plugins and (policy.call is not None or policy.aggregate is not None)


def _is_all(exchange: Exchange) -> bool:
    """Whether no other limit is asked about later: who is refused by one is charged by none."""
    return exchange.is_caller_counted or exchange.matched.by_caller is None


async def _meanwhile(exchange: Exchange, asking: Asking, proceed: Target) -> HTTPResponse:
    """The answer, or in its place that there is none for who turns out to ask too often: that comes before all else."""
    try:
        response = await proceed(exchange)
    except asyncio.CancelledError:
        if asking.seat.done():
            exchange.verdicts += await asking.verdicts()
        raise
    except Exception:
        await _hear(exchange, asking.verdicts())
        raise
    await _hear(exchange, asking.verdicts())
    return response


def _guest(network: str) -> str:
    return f"guest/{network}"


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

    One who may not use the route is not: the refusal that follows must not cost them anything.
    """
    policy = exchange.matched.policy
    if policy.plugins:
        return None  # one of them may know another
    exchange.caller = caller = recognized(exchange)
    if caller is not None:
        return caller.user_id if is_entitled(caller, exchange.matched) else None
    is_guest = policy.auth == "optional" and "authorization" not in exchange.request.headers
    return _guest(network) if is_guest else None


async def _take(exchange: Exchange, limits: Sequence[Limit], keys: tuple[str, ...]) -> None:
    await _hear(exchange, exchange.equipment.limiter.take(limits, keys))


async def _hear(exchange: Exchange, told: Awaitable[list[Verdict]]) -> None:
    """Raises ``Rejected`` unless all of them allow it."""
    try:
        verdicts = await told
    except LimitsAway:
        raise Rejected("service.unavailable", "Limits cannot be judged right now.", retry_after=1) from None
    exchange.verdicts += verdicts
    refused = [one for one in verdicts if not one.allowed]
    if refused:
        raise _refusal(refused)


def _refusal(refused: Sequence[Verdict]) -> Rejected:
    longest = max(refused, key=lambda one: one.reset)
    return Rejected(
        "quota.exceeded",
        f"At most {longest.quota} requests in {longest.window} seconds. Nothing was changed.",
        retry_after=longest.reset,
        violated_policies=[one.name for one in refused],
    )
