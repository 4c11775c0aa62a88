"""The instances of one service as this worker uses them: what each has to do, and which are left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from edge.rpc.retries import RetryBudget
from edge.upstreams.balancing import Candidate
from edge.upstreams.ejection import Outliers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge.discovery.table import Instance, InstanceTable
    from edge.upstreams.policy import Ejection, HttpPolicy

    _Rule = tuple[Ejection, bool]

log = structlog.get_logger()

HOLDERS = 4
"""A caller may keep the tunnels of one in so many of an instance's places, rounded up: guests by their address."""


@dataclass(slots=True, kw_only=True)
class Member(Candidate):
    """One instance. ``weight`` is set anew by whoever chooses.

    ``outstanding`` counts requests and tunnels, ``tunnels`` the latter alone, and ``held`` those of each caller.
    """

    instance: Instance
    tunnels: int = 0
    held: Counter[str] = field(default_factory=Counter)

    def has_room(self, most: int, holder: str | None) -> bool:
        """Whether it may have one more of its kind. Tunnels last, so they have places of their own, as many."""
        if holder is None:
            return self.outstanding - self.tunnels < most
        return self.tunnels < most and self.held[holder] * HOLDERS < most

    def enter(self, holder: str | None) -> None:
        """One more to do: a tunnel of ``holder``, or a request."""
        self.outstanding += 1
        if holder is not None:
            self.tunnels += 1
            self.held[holder] += 1

    def leave(self, holder: str | None) -> None:
        """One less to do."""
        self.outstanding -= 1
        if holder is not None:
            self.tunnels -= 1
            self.held[holder] -= 1
            if not self.held[holder]:
                del self.held[holder]


class Service:
    """One service. Its members follow the instance table whenever somebody looks."""

    def __init__(self, name: str, table: InstanceTable, clock: Callable[[], float]) -> None:
        self.name = name
        self.clock = clock
        self.budget = RetryBudget()
        self.arrivals = 0
        self.retries = 0
        self._table = table
        self._seen: tuple[Instance, ...] | None = None
        self._members: dict[str, Member] = {}
        self._outliers: dict[_Rule, Outliers] = {}

    def members(self) -> tuple[Member, ...]:
        """Those that may be sent to, as Consul said last."""
        passing = self._table.passing(self.name)
        if passing is not self._seen:
            self._follow(passing)
        return tuple(self._members.values())

    def outliers(self, policy: HttpPolicy) -> Outliers:
        """Who is left out under this policy; routes with the same rule share what is known."""
        rule = _rule(policy)
        found = self._outliers.get(rule)
        if found is None:
            found = self._outliers[rule] = Outliers(policy.ejection)
            found.follow(self._groups(rule), self.clock())
        return found

    def keep_only(self, policies: Iterable[HttpPolicy]) -> None:
        """No route leaves anybody out by the rules of other policies any more."""
        rules = {_rule(policy) for policy in policies}
        self._outliers = {rule: outliers for rule, outliers in self._outliers.items() if rule in rules}

    def failed(self, member: Member) -> None:
        """The instance did not answer as it should."""
        now = self.clock()
        if True in [outliers.failed(member.id, now) for outliers in self._outliers.values()]:
            log.warning("upstream.instance.ejected", guarded=self.name, instance_id=member.id)

    def succeeded(self, member: Member) -> None:
        """The instance answered."""
        for outliers in self._outliers.values():
            outliers.succeeded(member.id, self.clock())

    def figures(self) -> dict[str, int]:
        """How many instances may be sent to, how many of them are left out, and how many requests are under way."""
        now = self.clock()
        return {
            "passing": len(self._table.passing(self.name)),
            "ejected": max((each.out(now) for each in self._outliers.values()), default=0),
            "in_flight": sum(member.outstanding for member in self._members.values()),
        }

    def _follow(self, passing: tuple[Instance, ...]) -> None:
        before = self._members
        usable = [one for one in passing if one.address and one.port]
        self._members = {one.id: before.get(one.id) or Member(id=one.id, instance=one) for one in usable}
        for one in usable:
            self._members[one.id].instance = one
        self.arrivals += len(self._members.keys() - before.keys())
        self._seen = passing
        for rule, outliers in self._outliers.items():
            outliers.follow(self._groups(rule), self.clock())

    def _groups(self, rule: _Rule) -> dict[str, str]:
        """Who could do whose work: where requests are divided among versions, only one of the same version."""
        _, is_divided = rule
        return {one.id: one.instance.version if is_divided else "" for one in self._members.values()}


def _rule(policy: HttpPolicy) -> _Rule:
    return policy.ejection, policy.versions is not None
