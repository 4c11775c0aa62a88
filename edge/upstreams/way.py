"""One route's way to its service: whom it chooses, when it stops asking, and what became of what it asked."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from edge.rpc.failures import NotExecuted
from edge.upstreams.balancing import Balancer, LeastOutstanding, Rendezvous, RoundRobin
from edge.upstreams.versions import Divider
from shared.resilience.breaker import Breaker, BreakerPolicy, BreakerState, Permit

if TYPE_CHECKING:
    import random

    from edge.upstreams.policy import Breaking, HttpPolicy
    from edge.upstreams.service import Member, Service

log = structlog.get_logger()

ANSWERED = "answered"
FAILED = "failed"
UNREACHED = "unreached"
UNKNOWN = "unknown"
NOT_ASKED = "not_asked"
ABANDONED = "abandoned"
OUTCOMES = (ANSWERED, FAILED, UNREACHED, UNKNOWN, NOT_ASKED, ABANDONED)
"""Answered; with what nobody can use; no connection; perhaps done, no answer; refused by the edge; given up because of
the caller, who went away or left the service too little time."""


class Lease:
    """A place at an instance, taken until it is given back; forgotten, it comes back by itself."""

    __slots__ = ("_holder", "_is_held", "_service", "member")

    def __init__(self, member: Member, service: Service, holder: str | None = None) -> None:
        self.member = member
        self._service = service
        self._holder = holder
        self._is_held = True
        member.enter(holder)

    def release(self) -> None:
        """Give the place back, once."""
        if self._is_held:
            self._is_held = False
            self.member.leave(self._holder)

    def judge(self, *, is_well: bool) -> None:
        """Say how the instance did, when its answer has come to its end."""
        if is_well:
            self._service.succeeded(self.member)
        else:
            self._service.failed(self.member)

    def __del__(self) -> None:
        self.release()


class Way:
    """Made once per route and policy; lives as long as the route does.

    ``longest`` is the most time, in seconds, that a request had for its answer when it began.
    """

    def __init__(self, route: str, policy: HttpPolicy, service: Service, dice: random.Random) -> None:
        self.route = route
        self.policy = policy
        self.service = service
        self.dice = dice
        self.longest = 0.0
        self.outcomes: Counter[str] = Counter()
        self.divider = Divider(policy.versions, dice) if policy.versions else None
        self.breaker = Breaker(_opening(policy.breaker), dice=dice, on_move=self._tell)
        self._balancers: defaultdict[str, Balancer] = defaultdict(lambda: _balancer(policy, dice))  # by version
        self._outliers = service.outliers(policy)
        self._arrivals = service.arrivals

    def renew(self, policy: HttpPolicy) -> None:
        """The same words in another table, where the route's deadline may be another one."""
        self.policy = policy
        self.longest = 0.0

    def pick(
        self, *, key: bytes, named: str | None, stays: bytes, but: Member | None = None, holder: str | None = None
    ) -> Lease:
        """A place at an instance. Raises ``NotExecuted`` when none can be had.

        ``key`` is what a hash goes by, ``named`` what the client says of versions, ``stays`` who stays with one.
        ``but`` has been tried already. ``holder`` is who wants to keep the place for a tunnel; nobody does (``None``)
        with an ordinary request.
        """
        members = [one for one in self.service.members() if one is not but]
        if not members:
            raise NotExecuted(f"no instance of {self.service.name} is there")
        free = [one for one in self._weighed(members) if one.has_room(self.policy.connections, holder)]
        if not free:
            raise NotExecuted(f"every instance of {self.service.name} has all it may have to do")
        if self.divider is not None:
            present = {one.instance.version for one in free}
            version = self.divider.choose(present, named=named, key=stays)
            free = [one for one in free if one.instance.version == version]
            if not free:
                raise NotExecuted(f"no instance of a wanted version of {self.service.name} is there")
        return Lease(free[self._balancers[self._version(free[0])].choose(free, key)], self.service, holder)

    def admit(self) -> Permit:
        """Leave to ask. Raises ``NotExecuted`` while the breaker is open."""
        now = self.service.clock()
        self.service.members()
        if self.service.arrivals != self._arrivals:
            self._arrivals = self.service.arrivals
            self.breaker.wake()
        permit = self.breaker.admit(now)
        if permit is None:
            self.outcomes[NOT_ASKED] += 1
            raise NotExecuted("the breaker is open", max(1, math.ceil(self.breaker.retry_after(now))))
        return permit

    def settle(self, permit: Permit, outcome: str, *, seconds: float) -> None:
        """Count how it went, and tell the breaker what that says of the service, which took ``seconds``."""
        self.outcomes[outcome] += 1
        now = self.service.clock()
        if outcome == ANSWERED:
            self.breaker.succeeded(permit, now, seconds=seconds)
        elif outcome in {FAILED, UNREACHED, UNKNOWN}:
            self.breaker.failed(permit, now, answered=outcome == FAILED)
        else:
            self.breaker.abandoned(permit)

    def _tell(self, state: BreakerState, reason: str) -> None:
        log.warning("upstream.breaker.changed", route=self.route, state=state.value, reason=reason)

    @property
    def breaker_state(self) -> BreakerState:
        """What the breaker would do now."""
        return self.breaker.state(self.service.clock())

    def told(self) -> dict[str, Any]:
        """The breaker as an administrator sees it."""
        now, breaker = self.service.clock(), self.breaker
        return {
            "breaker": breaker.state(now).value,
            "reason": breaker.reason,
            "retry_after": round(breaker.retry_after(now), 1),
            "held": breaker.ruling.value if breaker.ruling else None,
        }

    def _weighed(self, members: list[Member]) -> list[Member]:
        """Those with a share of the work, each with its weight; where nobody has one, all: somebody must try.

        Nobody takes over the work of another version, so where requests are divided this goes for each of them.
        """
        now = self.service.clock()
        for one in members:
            one.weight = self._weight(one) * self._outliers.share(one.id, now)
        working = [one for one in members if one.weight > 0]
        if len(working) == len(members):
            return working
        served = {self._version(one) for one in working}
        for one in members:
            if self._version(one) not in served:
                one.weight = self._weight(one)
        return [one for one in members if one.weight > 0]

    def _version(self, member: Member) -> str:
        return member.instance.version if self.divider else ""

    def _weight(self, member: Member) -> float:
        weights, instance = self.policy.weights, member.instance
        return instance.weight * weights.get(instance.id, weights.get(instance.version, 1))


def _opening(words: Breaking) -> BreakerPolicy:
    policy = BreakerPolicy(
        failures_to_open=words.failures,
        minimum=words.calls,
        failure_ratio=words.percent / 100,
        open_for=words.open_for,
    )
    slow = words.slow
    return policy if slow is None else replace(policy, slow_seconds=slow.seconds, slow_ratio=slow.percent / 100)


def _balancer(policy: HttpPolicy, dice: random.Random) -> Balancer:
    if policy.balance == "round-robin":
        return RoundRobin()
    return Rendezvous() if policy.balance == "hash" else LeastOutstanding(dice)
