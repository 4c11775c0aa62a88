"""Lets through only who may: the token must carry every scope the route asks for."""

from __future__ import annotations

from edge.composing import only_for
from edge.exchange import Exchange
from edge.problems import Rejected


@only_for(lambda route: route.policy.auth != "none" or bool(route.policy.scopes))
def authorize(exchange: Exchange) -> None:
    """A route that needs a caller does not run without one, whatever happened before."""
    policy = exchange.matched.policy
    if exchange.caller is None:
        if policy.auth == "required":
            raise Rejected("auth.required", "This needs an access token.")
        return
    missing = [scope for scope in policy.scopes if scope not in exchange.caller.scopes]
    if missing:
        wanted = " ".join(policy.scopes)
        raise Rejected(
            "auth.insufficient_scope",
            f"This needs the scope {wanted}.",
            headers={"www-authenticate": f'Bearer realm="kirana", error="insufficient_scope", scope="{wanted}"'},
        )
