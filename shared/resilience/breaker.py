"""A breaker stops asking a service that keeps failing, and finds out by itself when to ask again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from shared.resilience.backoff import Dice
from shared.resilience.tally import Recent, Tally

LOST_TOGETHER = 0.05
"""Seconds. Calls that begin within so long may share a frame, which is lost whole."""


class BreakerState(Enum):
    """Closed lets calls through, open refuses them, half-open lets a few probes through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open, and for how long. Times in seconds.

    It opens after ``failures_to_open`` silences in a row, or when of at least ``minimum`` calls in the last ``window``
    the share ``failure_ratio`` failed, or ``slow_ratio`` took longer than ``slow_seconds`` (never, unless that is set).
    Faults that a service answered count with those, but alone they open it only from the share ``fault_ratio``: the
    buyers of one locked product, who are all told so, must not close the shop to the others.
    After silence it stays open for ``open_for``, of which each breaker draws up to the share ``jitter`` less, so that
    many workers do not probe together; after faults that a service answered, which cost little and are followed by no
    sign that they are over, for ``open_briefly``. The times do not grow: a probe is one call, and whoever is well
    again wants to be found. A probe that reports nothing for ``probe_lease`` no longer blocks the next one.
    Silences of calls that began ``together``, less than so long one after another, are one in the row, and one of the
    ``minimum`` times ``failure_ratio`` that it takes: they left in one frame, and are lost with it. So one replica of
    two that hangs does not close the service while the other answers. Nor is in the row what began before an answer.
    """

    failures_to_open: int = 5
    window: float = 10.0
    minimum: int = 20
    failure_ratio: float = 0.75
    fault_ratio: float = 0.9
    slow_seconds: float = math.inf
    slow_ratio: float = 0.8
    open_for: float = 30.0
    open_briefly: float = 2.0
    jitter: float = 0.1
    probes: int = 1
    probe_lease: float = 10.0
    together: float = 0.0


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call. It must come back through ``succeeded``, ``failed`` or ``abandoned``.

    A permit of an earlier ``generation`` is stale: what it reports is old news and changes nothing. ``serial`` tells
    probes apart; it is zero for other calls.
    """

    generation: int
    serial: int = 0

    @property
    def probe(self) -> bool:
        """Whether it is a probe's."""
        return self.serial > 0


class Breaker:
    """``now`` is monotonic seconds and never goes backwards. ``on_move`` hears every opening and closing.

    Without ``dice`` there is no jitter.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        dice: Dice | None = None,
        on_move: Callable[[BreakerState, str], None] = lambda _state, _reason: None,
    ) -> None:
        self._policy = policy
        self._dice = dice
        self._on_move = on_move
        self._tally = Tally(policy.window)
        self._generation = 0
        self._pass = Permit(0)
        self._silences = 0
        self._answered_at = self._lost_at = -math.inf
        self._opened_at: float | None = None
        self._opens_until = 0.0
        self._wake_early = False
        self._probes: dict[int, float] = {}
        self._serial = 0
        self.ruling: BreakerState | None = None
        self.reason = ""

    def state(self, now: float) -> BreakerState:
        """What the breaker would do with a call now."""
        if self.ruling is not None:
            return self.ruling
        if self._opened_at is None:
            return BreakerState.CLOSED
        if self._wake_early or now >= self._opens_until:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def retry_after(self, now: float) -> float:
        """Seconds until the next call may be let through; zero when one may be now."""
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.HALF_OPEN:
                leases = [until for until in self._probes.values() if until > now]
                return min(leases) - now if len(leases) >= self._policy.probes else 0.0
            case BreakerState.OPEN:
                return self._policy.open_for if self.ruling else self._opens_until - now

    def admit(self, now: float) -> Permit | None:
        """Ask to make a call; ``None`` is no."""
        if self._opened_at is None and self.ruling is None:
            return self._pass
        match self.state(now):
            case BreakerState.CLOSED:
                return self._pass
            case BreakerState.OPEN:
                return None
            case BreakerState.HALF_OPEN:
                return self._lease_probe(now)

    def succeeded(self, permit: Permit, now: float, *, seconds: float = 0.0) -> None:
        """The service answered within ``seconds``, be it with a refusal of its own."""
        if permit is not self._pass:  # nearly always it is
            if permit.serial and self._has_say(permit):
                self._close("a probe was answered")
            return
        self._silences, self._answered_at = 0, now
        slow = seconds > self._policy.slow_seconds
        self._tally.note(now, slow=slow)
        if slow:
            self._judge(now, self._policy.open_for, self._policy.failure_ratio)

    def failed(self, permit: Permit, now: float, *, began: float | None = None, answered: bool = False) -> None:
        """The service did not answer; or it ``answered`` with a fault, which counts in the ratio only.

        So does the silence of a call that ``began`` (now, unless said) before the last answer: others were served
        while it waited.
        """
        if not self._has_say(permit):
            return
        policy = self._policy
        seconds = policy.open_briefly if answered else policy.open_for
        if permit.serial:
            self._open(now, seconds, "a probe failed")
            return
        if answered:
            self._silences, self._answered_at = 0, now
        is_apart = answered or self._note_silence(now if began is None else began)
        self._tally.note(now, failed=True, apart=is_apart)
        self._judge(now, seconds, policy.fault_ratio if answered else policy.failure_ratio)

    def abandoned(self, permit: Permit) -> None:
        """The call ended without a verdict on the service: cancelled, or shed on our side."""
        self._probes.pop(permit.serial, None)

    def trip(self, now: float, reason: str) -> None:
        """Open at once: it is known from elsewhere that nothing would answer."""
        self._open(now, self._policy.open_for, reason)

    def wake(self) -> None:
        """Someone saw the service alive: let a probe through without waiting for the time to pass."""
        if self._opened_at is not None:
            self._wake_early = True

    def rule(self, ruling: BreakerState | None) -> None:
        """Hold it open or closed until ``None`` lets it decide again. Held closed, it forgets what it knew."""
        if ruling is self.ruling:
            return
        self.ruling = ruling
        if ruling is BreakerState.CLOSED:
            self._close("held closed by an operator")
        elif ruling is BreakerState.OPEN:
            self._on_move(BreakerState.OPEN, "held open by an operator")

    def _note_silence(self, began: float) -> bool:
        """One more in a row, if nothing was answered since it began; gives whether it was lost apart from the last."""
        is_apart = abs(began - self._lost_at) >= self._policy.together
        if is_apart:
            self._lost_at = began
            self._silences += began >= self._answered_at
        return is_apart

    def _judge(self, now: float, seconds: float, ratio: float) -> None:
        policy, recent = self._policy, self._tally.recent(now)
        if self.ruling is not None:
            return
        if self._silences >= policy.failures_to_open:
            self._open(now, seconds, f"{self._silences} calls in a row were not answered")
        elif self._is_ill(recent, ratio):
            self._open(now, seconds, f"{recent.failures} of {recent.calls} calls failed")
        elif recent.calls >= policy.minimum and recent.slow >= policy.slow_ratio * recent.calls:
            self._open(now, seconds, f"{recent.slow} of {recent.calls} calls were slow")

    def _is_ill(self, recent: Recent, ratio: float) -> bool:
        minimum = self._policy.minimum
        return recent.calls >= minimum and recent.failures >= ratio * recent.calls and recent.apart >= ratio * minimum

    def _has_say(self, permit: Permit) -> bool:
        return permit.generation == self._generation and (not permit.serial or permit.serial in self._probes)

    def _lease_probe(self, now: float) -> Permit | None:
        self._probes = {serial: until for serial, until in self._probes.items() if until > now}
        if len(self._probes) >= self._policy.probes:
            return None
        self._serial += 1
        self._probes[self._serial] = now + self._policy.probe_lease
        return Permit(self._generation, self._serial)

    def _open(self, now: float, seconds: float, reason: str) -> None:
        less = self._dice.uniform(0.0, self._policy.jitter) if self._dice else 0.0
        self._opened_at = now
        self._opens_until = now + seconds * (1.0 - less)
        self._start_anew(reason)
        self._on_move(BreakerState.OPEN, reason)

    def _close(self, reason: str) -> None:
        self._opened_at = None
        self._start_anew("")
        self._on_move(BreakerState.CLOSED, reason)

    def _start_anew(self, reason: str) -> None:
        self._generation += 1
        self._pass = Permit(self._generation)
        self._silences = 0
        self._lost_at = -math.inf
        self._wake_early = False
        self._probes = {}
        self._tally.clear()
        self.reason = reason
