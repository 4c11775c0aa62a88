"""How much a route matters when not all can be served, and whom it asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared.resilience.adaptive import Priority

if TYPE_CHECKING:
    from edge.policies import RoutePolicy, Table

HEALTH = ("alive", "serving", "ready")
OF_LOCAL = {"log_in": "identity", "log_out": "identity"}
OWN = "edge"
"""What the edge answers by itself."""

HTTP = "http."
"""What stands before the name of a service that speaks HTTP."""

SEVERAL = "several"
"""What several services answer together. One of them that is slow must not take the places of the edge's own pages."""


def priority_of(policy: RoutePolicy) -> Priority:
    """As the route says; else health for the health routes, read for GET, write for the rest."""
    if policy.priority is not None:
        return Priority[policy.priority.upper()]
    if policy.local in HEALTH:
        return Priority.HEALTH
    return Priority.READ if policy.method == "GET" else Priority.WRITE


def upstream_of(policy: RoutePolicy) -> str:
    """The service that does the work."""
    if policy.call is not None:
        return policy.call.partition(".")[0]
    if policy.aggregate is not None:
        return SEVERAL
    if policy.http is not None:
        return f"{HTTP}{policy.http.service}"
    return OF_LOCAL.get(policy.local or "", OWN)


def priority_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Whatever is never refused could overload the edge: only the health routes may be."""
    del table
    if policy.priority == "health" and policy.local not in HEALTH:
        yield "/priority: only the health routes can have priority 'health'"
