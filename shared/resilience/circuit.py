"""The breakers before one service: one for each of its methods, and one for the service as a whole."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from types import TracebackType

from msgspec import Struct

from shared.resilience.backoff import Dice
from shared.resilience.breaker import Breaker, BreakerPolicy, BreakerState, Permit

WHOLE = ""
"""Where a method's name may stand: the service as a whole."""

Moved = Callable[[str, BreakerState, str], None]
"""Hears the method (or :data:`WHOLE`), its breaker's new state and the reason."""


class Ending(Enum):
    """How a call ended, as far as it says something of the service.

    ``VOID`` says nothing: our own shedding, the broker's faults, callers who went away, too little time from the start.
    """

    ANSWERED = "answered"
    FAULTY = "faulty"
    SILENT = "silent"
    VOID = "void"


Judge = Callable[[BaseException], Ending]


@dataclass(frozen=True, slots=True)
class Seen:
    """One breaker as it stands. ``retry_after`` in seconds, ``ruling`` is an operator's.

    ``age`` is for how many seconds it has been open or closed; ``None`` for one that was never anything but closed.
    """

    state: BreakerState
    reason: str
    retry_after: float
    ruling: BreakerState | None
    age: float | None = None


class Attempt(Struct, eq=False):
    """``with`` it round one call: however that ends, the breakers are told, and no probe is lost.

    ``own`` is the permit of the service's breaker, ``permit`` that of the method's own ``breaker``.
    """

    circuit: Circuit
    judge: Judge
    method: str
    breaker: Breaker
    own: Permit
    permit: Permit
    is_probe: bool
    began: float

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if fault is None:
            self.circuit.answered(self)
        else:
            self.circuit.settle(self, self.judge(fault))
        if self.is_probe:
            self.circuit.on_verdict()


class Circuit:
    """A method that fails is refused alone.

    The service as a whole is refused when nobody is there, when it is known from elsewhere to be down, or when two
    methods or more are silent and nothing else has been answered meanwhile. ``clock`` gives monotonic seconds.
    ``on_verdict`` hears that a probe has ended, somehow.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        clock: Callable[[], float],
        dice: Dice | None = None,
        on_move: Moved = lambda _method, _state, _reason: None,
        on_verdict: Callable[[], None] = lambda: None,
    ) -> None:
        self.clock = clock
        self.on_verdict = on_verdict
        self._policy = policy
        self._dice = dice
        self._on_move = on_move
        self._moved_at: dict[str, float] = {}
        self._rulings: dict[str, BreakerState] = {}
        self._methods: dict[str, Breaker] = {}
        self._absence = ""
        self._back_at = -math.inf
        self._silent: set[str] = set()
        self._silences = 0
        self._answered_at = self._lost_at = -math.inf
        never = replace(policy, failures_to_open=sys.maxsize, minimum=sys.maxsize)
        self._own = self._made(WHOLE, never)

    def attempt(self, method: str, judge: Judge) -> Attempt | None:
        """Leave to make one call, or ``None``. ``judge`` says what an exception tells of the service."""
        if self._absence and self._is_gone:  # the text is asked first, as a property costs every call more
            return None
        now = self.clock()
        own = self._own.admit(now)
        if own is None:
            return None
        breaker = self._methods.get(method) or self._breaker(method)
        permit = breaker.admit(now)
        if permit is None:
            self._own.abandoned(own)
            return None
        return Attempt(self, judge, method, breaker, own, permit, own.probe or permit.probe, now)

    def state(self, method: str = WHOLE) -> BreakerState:
        """What would be done with a call now."""
        now = self.clock()
        own = self._own.state(now)
        if self._is_gone:
            return BreakerState.OPEN
        if method == WHOLE or method not in self._methods or own is BreakerState.OPEN:
            return own
        states = {own, self._methods[method].state(now)}
        return next(each for each in (BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED) if each in states)

    def retry_after(self, method: str = WHOLE) -> float:
        """Seconds until a call may be let through; zero when that is not known, or now."""
        if self._is_gone:
            return 0.0
        now = self.clock()
        own = self._own.retry_after(now)
        return max(own, self._methods[method].retry_after(now)) if method in self._methods else own

    def reason(self, method: str) -> str:
        """Why a call is refused now: that of the service's breaker when it is open, else that of the method's own."""
        if self._is_gone:
            return self._absence
        if method in self._methods and self._own.state(self.clock()) is BreakerState.CLOSED:
            return self._methods[method].reason
        return self._own.reason

    def gone(self, reason: str) -> None:
        """Nobody is there: refuse everything until :meth:`back`, with this ``reason``, which is not empty."""
        if not self._absence:
            self._absence = reason
            self._moved(WHOLE, BreakerState.OPEN, reason)

    def back(self) -> None:
        """Somebody is there, or may be: whoever was merely away has failed at nothing, and is called like before.

        Whatever failures have opened is probed now. What was silent while they left says nothing of who has come.
        """
        was_gone, self._absence = bool(self._absence), ""
        if was_gone:
            self._back_at = self.clock()
            self._forget_silences()
            if self._own.state(self.clock()) is BreakerState.CLOSED:
                self._moved(WHOLE, BreakerState.CLOSED, "somebody is there, or may be")
        self.wake()

    def wake(self) -> None:
        """It was heard from elsewhere that somebody lives there: probe now whatever failures have opened."""
        self._own.wake()
        for breaker in self._methods.values():
            breaker.wake()

    def trip(self, reason: str) -> None:
        """Refuse everything for a while; then, or when the service is heard of, probes decide.

        While it is known that nobody is there, that says it all.
        """
        if not self._absence:
            self._own.trip(self.clock(), reason)

    def heard(self, method: str) -> None:
        """An answer came late: the service lives. Whoever waits no more for it learns that from the next probe."""
        self._breaker(method).wake()
        self._own.wake()
        self._note_life(self.clock())

    def rule(self, rulings: Mapping[str, BreakerState]) -> None:
        """Hold these breakers, and let all others decide for themselves. :data:`WHOLE` rules every method, too."""
        self._rulings = dict(rulings)
        self._own.rule(rulings.get(WHOLE))
        for method, breaker in self._methods.items():
            breaker.rule(self._ruling(method))

    def answered(self, attempt: Attempt) -> None:
        """Take in that a call was answered."""
        now = self.clock()
        if attempt.own.serial:
            self._own.succeeded(attempt.own, now)
        attempt.breaker.succeeded(attempt.permit, now, seconds=now - attempt.began)
        self._note_life(now)

    def settle(self, attempt: Attempt, ending: Ending) -> None:
        """Take in how a call ended."""
        now = self.clock()
        match self._weighed(ending, attempt.began):
            case Ending.ANSWERED:
                self.answered(attempt)
            case Ending.FAULTY:
                if attempt.own.serial:
                    self._own.succeeded(attempt.own, now)
                attempt.breaker.failed(attempt.permit, now, answered=True)
                self._note_life(now)
            case Ending.SILENT:
                if attempt.own.serial:
                    self._own.failed(attempt.own, now)
                attempt.breaker.failed(attempt.permit, now, began=attempt.began)
                self._note_silence(attempt, now)
            case Ending.VOID:
                self._own.abandoned(attempt.own)
                attempt.breaker.abandoned(attempt.permit)

    def _weighed(self, ending: Ending, began: float) -> Ending:
        """The silence of who was away is no fault of theirs, and says nothing of who has come."""
        is_void = ending is Ending.SILENT and (self._absence or began < self._back_at)
        return Ending.VOID if is_void else ending

    def seen(self) -> dict[str, Seen]:
        """Every breaker by its method; that of the service under :data:`WHOLE`."""
        now = self.clock()
        own = Seen(self.state(), self.reason(WHOLE), self.retry_after(), self._own.ruling, self._age(WHOLE, now))
        return {WHOLE: own} | {
            method: Seen(
                breaker.state(now), breaker.reason, breaker.retry_after(now), breaker.ruling, self._age(method, now)
            )
            for method, breaker in self._methods.items()
        }

    @property
    def _is_gone(self) -> bool:
        """Whether absence alone is reason to refuse; an operator may rule otherwise."""
        return bool(self._absence) and self._own.ruling is not BreakerState.CLOSED

    def _note_silence(self, attempt: Attempt, now: float) -> None:
        """Counts like a breaker's own: not when anything was answered since, nor twice what was lost together."""
        if attempt.began < self._answered_at:
            return
        self._silent.add(attempt.method)
        if abs(attempt.began - self._lost_at) >= self._policy.together:
            self._lost_at = attempt.began
            self._silences += 1
        if self._is_silent() and self._own.state(now) is BreakerState.CLOSED and self._own.ruling is None:
            self._own.trip(now, f"{len(self._silent)} methods are silent, and nothing else is answered")

    def _note_life(self, now: float) -> None:
        """If the whole service was silent, it was no method's own fault: all are probed."""
        self._answered_at = now
        if self._silences:
            was_silent = self._is_silent()
            self._forget_silences()
            if was_silent:
                self.wake()

    def _forget_silences(self) -> None:
        self._silent.clear()
        self._silences = 0

    def _is_silent(self) -> bool:
        return len(self._silent) > 1 and self._silences >= self._policy.failures_to_open

    def _breaker(self, method: str) -> Breaker:
        breaker = self._methods.get(method)
        if breaker is None:
            breaker = self._methods[method] = self._made(method, self._policy)
            breaker.rule(self._ruling(method))
        return breaker

    def _ruling(self, method: str) -> BreakerState | None:
        return self._rulings.get(method, self._rulings.get(WHOLE))

    def _made(self, method: str, policy: BreakerPolicy) -> Breaker:
        return Breaker(policy, dice=self._dice, on_move=partial(self._moved, method))

    def _moved(self, method: str, state: BreakerState, reason: str) -> None:
        self._moved_at[method] = self.clock()
        self._on_move(method, state, reason)

    def _age(self, method: str, now: float) -> float | None:
        moved_at = self._moved_at.get(method)
        return None if moved_at is None else max(0.0, now - moved_at)
