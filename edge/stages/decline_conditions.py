"""Turns away changes under a condition that nobody would look at: when it is false they must not be done."""

from __future__ import annotations

from edge.composing import only_for
from edge.exchange import Exchange
from edge.problems import Rejected
from edge.routes import Route


def _ignores_conditions(route: Route) -> bool:
    """A service that has the request itself (``http``) is passed the condition, too."""
    return route.mutating and route.policy.http is None and "if-match" not in route.binding.sources.values()


@only_for(_ignores_conditions)
def decline_conditions(exchange: Exchange) -> None:
    """RFC 9110, 13.1.1. ``*`` asks only that there is something to change, which the answer tells anyway."""
    if_match = exchange.header("if-match")
    if if_match is not None and if_match.strip() != "*":
        raise Rejected(
            "request.invalid",
            "This request cannot be made to depend on a version.",
            errors=[{"pointer": "/If-Match", "detail": "Leave it out: it would not be looked at here."}],
        )
