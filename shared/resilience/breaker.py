"""A breaker stops asking a service that keeps failing, and finds out by itself when to ask again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class BreakerState(Enum):
    """Closed lets calls through, open refuses them, half-open lets one probe through at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Times in seconds. A probe that reports nothing for ``probe_lease`` no longer blocks the next one."""

    failures_to_open: int = 5
    open_for: float = 30.0
    probe_lease: float = 10.0


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call. It must come back through ``succeeded``, ``failed`` or ``abandoned``.

    A permit of an earlier ``generation`` is stale: what it reports is old news and changes nothing.
    """

    generation: int
    probe: bool = False


class Breaker:
    """Counts consecutive failures. ``now`` is monotonic seconds and never goes backwards."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._generation = 0
        self._failures = 0
        self._opened_at: float | None = None
        self._wake_early = False
        self._probe: Permit | None = None
        self._probe_until = 0.0

    def state(self, now: float) -> BreakerState:
        """What the breaker would do with a call now."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        if self._wake_early or now - self._opened_at >= self._policy.open_for:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def retry_after(self, now: float) -> float:
        """Seconds until the next call may be let through; zero when one may be now."""
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.HALF_OPEN:
                return max(0.0, self._probe_until - now) if self._probe else 0.0
            case BreakerState.OPEN:
                return self._policy.open_for - (now - (self._opened_at or 0.0))

    def admit(self, now: float) -> Permit | None:
        """Ask to make a call; ``None`` is no."""
        match self.state(now):
            case BreakerState.CLOSED:
                return Permit(self._generation)
            case BreakerState.OPEN:
                return None
            case BreakerState.HALF_OPEN:
                return self._lease_probe(now)

    def succeeded(self, permit: Permit) -> None:
        """The service answered, be it with a refusal of its own."""
        if permit.generation != self._generation:
            return
        self._failures = 0
        if permit.probe:
            self._move(opened_at=None)

    def failed(self, permit: Permit, now: float) -> None:
        """The service did not answer."""
        if permit.generation != self._generation:
            return
        self._failures += 1
        if permit.probe or self._failures >= self._policy.failures_to_open:
            self._move(opened_at=now)

    def abandoned(self, permit: Permit) -> None:
        """The call ended without a verdict on the service: cancelled, or shed on our side."""
        if permit is self._probe:
            self._probe = None

    def wake(self) -> None:
        """Someone saw the service alive: let a probe through without waiting for the time to pass."""
        if self._opened_at is not None:
            self._wake_early = True

    def _lease_probe(self, now: float) -> Permit | None:
        if self._probe is not None and now < self._probe_until:
            return None
        self._generation += 1  # a probe whose lease ran out has lost its say
        self._probe = Permit(self._generation, probe=True)
        self._probe_until = now + self._policy.probe_lease
        return self._probe

    def _move(self, *, opened_at: float | None) -> None:
        self._generation += 1
        self._failures = 0
        self._opened_at = opened_at
        self._wake_early = False
        self._probe = None
