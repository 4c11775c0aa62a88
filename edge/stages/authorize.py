"""Lets through only who may: with every scope that the route asks for, and as a person where it is for people."""

from __future__ import annotations

from edge.composing import only_for
from edge.exchange import Exchange
from edge.problems import Rejected
from edge.routes import Route
from edge.tokens import Caller
from shared.contracts.identity import RevokeSession

REALM = 'Bearer realm="kirana", error="insufficient_scope"'


@only_for(lambda route: route.policy.auth != "none" or bool(route.policy.scopes))
def authorize(exchange: Exchange) -> None:
    """A route that needs a caller does not run without one, whatever happened before."""
    policy = exchange.matched.policy
    if exchange.caller is None:
        if policy.auth == "required":
            raise Rejected("auth.required", "This needs an access token.")
        return
    if is_entitled(exchange.caller, exchange.matched):
        return
    if not exchange.caller.scopes.issuperset(policy.scopes):
        wanted = " ".join(policy.scopes)
        raise _insufficient(f"This needs the scope {wanted}.", f'{REALM}, scope="{wanted}"')
    raise _insufficient("This is for people: a client's own token speaks for none.", REALM)


def is_entitled(caller: Caller, route: Route) -> bool:
    """Whether the caller has every scope and, where the route serves a person, is one."""
    return caller.scopes.issuperset(route.policy.scopes) and not (caller.is_client and _serves_a_person(route))


def _serves_a_person(route: Route) -> bool:
    """By its arguments. But whoever has a session may end it, and a client's grant is one."""
    takes_user = "caller.user_id" in route.binding.sources.values()
    return takes_user and not issubclass(route.binding.request, RevokeSession)


def _insufficient(detail: str, challenge: str) -> Rejected:
    return Rejected("auth.insufficient_scope", detail, headers={"www-authenticate": challenge})
