"""Keeps one address, and one caller, from taking more than their share."""

from __future__ import annotations

from sanic import HTTPResponse

from edge.exchange import Exchange, Target
from edge.limits import limit_headers, network_of
from edge.policies import RateClass
from edge.problems import Rejected


async def limit_rate_by_address(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Before anything costly: count the peer's address."""
    route = exchange.matched
    if route.by_address is None or route.policy.limits is None:
        return await proceed(exchange)
    await _take(exchange, f"{route.policy.limits.address}-address", route.by_address, network_of(exchange.address))
    response = await proceed(exchange)
    for header, value in limit_headers(exchange.verdicts).items():
        response.headers[header] = value
    return response


async def limit_rate_by_caller(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """Once it is known who calls: count the user, wherever they call from. Guests are counted by address."""
    route = exchange.matched
    if exchange.caller is None or route.by_caller is None or route.policy.limits is None:
        return await proceed(exchange)
    await _take(exchange, f"{route.policy.limits.caller}-caller", route.by_caller, exchange.caller.user_id)
    return await proceed(exchange)


async def _take(exchange: Exchange, name: str, rate: RateClass, who: str) -> None:
    verdict = await exchange.equipment.limiter.take(name, rate, who)
    exchange.verdicts.append(verdict)
    if not verdict.allowed:
        raise Rejected(
            "quota.exceeded",
            f"At most {verdict.quota} requests in {verdict.window} seconds. Nothing was changed.",
            retry_after=verdict.reset,
            violated_policies=[name],
        )
