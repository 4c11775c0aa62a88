"""What of an aggregate's parts may show through in its own answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.policies import RoutePolicy


def has_http_part(policy: RoutePolicy) -> bool:
    """Whether a service that speaks HTTP may refuse the whole, in words that only it knows."""
    return policy.aggregate is not None and any(part.http and part.required for part in policy.aggregate.parts)


def calls_of(policy: RoutePolicy) -> list[str]:
    """The methods whose refusals may become the route's own answer."""
    parts = policy.aggregate.parts if policy.aggregate else []
    return [call for call in (policy.call, *(part.call for part in parts if part.required)) if call is not None]
