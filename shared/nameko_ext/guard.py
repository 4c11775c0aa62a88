"""Stands before a lane, so that nobody waits for a service that does not answer."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import structlog

from shared.nameko_ext.failures import Blame, CallFailure, NotExecuted
from shared.resilience.breaker import LOST_TOGETHER, BreakerPolicy, BreakerState
from shared.resilience.circuit import Circuit, Ending
from shared.resilience.deadline import FAIR_SECONDS
from shared.resilience.presence import NOBODY_LISTENS

log = structlog.get_logger()

Answer = TypeVar("Answer")


ANY_METHOD = "any"
"""Between services all methods share one breaker: few are called, and together they tell sooner that one is ill."""


class Guard:
    """A breaker for one service.

    Only the service's own faults count: its refusals are answers, and neither the broker's faults, nor our own
    shedding, nor callers who go away or come too late say anything about it.
    """

    def __init__(
        self, service: str, *, policy: BreakerPolicy | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = service
        dice = random.SystemRandom()
        policy = replace(policy or BreakerPolicy(), together=LOST_TOGETHER)
        self._circuit = Circuit(policy, clock=clock, dice=dice, on_move=self._report)

    @property
    def state(self) -> BreakerState:
        """What it would do with a call now."""
        return self._circuit.state(ANY_METHOD)

    def call(self, ask: Callable[[], Answer], *, patience: float) -> Answer:
        """What ``ask`` gives, who has so many seconds for it. Raises what it raises.

        ``NotExecuted`` at once while nobody listens, or the breaker is open.
        """
        attempt = self._circuit.attempt(ANY_METHOD, _fair_ending if patience >= FAIR_SECONDS else _unfair_ending)
        if attempt is None:
            retry_after = math.ceil(self._circuit.retry_after(ANY_METHOD))
            reason = f"the breaker is open: {self._circuit.reason(ANY_METHOD)}"
            raise NotExecuted(reason, max(1, retry_after), blame=Blame.CALLER)
        with attempt:
            return ask()

    def lost(self) -> None:
        """Nobody listens: refuse every call until :meth:`wake`."""
        self._circuit.gone(NOBODY_LISTENS)

    def wake(self) -> None:
        """Somebody listens, or nobody knows any more.

        Who was merely away has failed at nothing, and is called like before; a breaker that is open probes now.
        """
        self._circuit.back()

    def _report(self, _: str, state: BreakerState, reason: str) -> None:
        log.warning("rpc.breaker.changed", guarded=self._service, after=state.value, reason=reason)


def _fair_ending(fault: BaseException) -> Ending:
    return Ending.SILENT if isinstance(fault, CallFailure) and fault.blame is Blame.SERVICE else Ending.VOID


def _unfair_ending(_: BaseException) -> Ending:
    """Of a call that had hardly any time from the start only an answer counts."""
    return Ending.VOID
