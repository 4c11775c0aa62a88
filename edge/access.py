"""Lists of addresses that may, or must not, use a route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from edge.addresses import Networks
from edge.policies import Access, RoutePolicy, Table


class AccessList:
    """A route's lists, compiled. ``deny`` wins; with an ``allow`` list, nobody else may."""

    def __init__(self, *, allow: Networks, deny: Networks) -> None:
        self._allow = allow
        self._deny = deny

    @classmethod
    def of(cls, access: Access | None) -> Self | None:
        """Compile what the table says; ``None`` where it says nothing."""
        return None if access is None else cls(allow=Networks(access.allow), deny=Networks(access.deny))

    def admits(self, address: str) -> bool:
        """Whether this address may use the route."""
        return address not in self._deny and (not self._allow or address in self._allow)


def access_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Lists that name somebody, all of them networks."""
    del table
    if policy.access is None:
        return
    if not policy.access.allow and not policy.access.deny:
        yield "/access: names nobody: leave it out, or say who is allowed or denied"
    for name, texts in (("allow", policy.access.allow), ("deny", policy.access.deny)):
        for position, text in enumerate(texts):
            try:
                Networks([text])
            except ValueError as fault:
                yield f"/access/{name}/{position}: {fault}"
