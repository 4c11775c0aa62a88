"""Stands before a lane, so that nobody waits for a service that does not answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from shared.nameko_ext.failures import Blame, CallFailure, NotExecuted
from shared.resilience.breaker import Breaker, BreakerPolicy, BreakerState

log = structlog.get_logger()

Answer = TypeVar("Answer")


class Guard:
    """A breaker for one service.

    Only the service's own faults count: its refusals are answers, and neither the broker's faults, nor our own
    shedding, nor callers who go away say anything about it.
    """

    def __init__(
        self, service: str, *, policy: BreakerPolicy | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = service
        self._clock = clock
        self._breaker = Breaker(policy or BreakerPolicy())

    @property
    def state(self) -> BreakerState:
        """What it would do with a call now."""
        return self._breaker.state(self._clock())

    def call(self, ask: Callable[[], Answer]) -> Answer:
        """What ``ask`` gives. Raises what it raises, and ``NotExecuted`` at once while the breaker is open."""
        permit = self._breaker.admit(self._clock())
        if permit is None:
            retry_after = math.ceil(self._breaker.retry_after(self._clock()))
            raise NotExecuted("the breaker is open", max(1, retry_after), blame=Blame.CALLER)
        before = self.state
        try:
            answer = ask()
        except CallFailure as failure:
            if failure.blame is Blame.SERVICE:
                self._breaker.failed(permit, self._clock())
            else:
                self._breaker.abandoned(permit)
            raise
        except BaseException:
            self._breaker.abandoned(permit)
            raise
        else:
            self._breaker.succeeded(permit)
            return answer
        finally:
            self._report(before, self.state)

    def _report(self, before: BreakerState, after: BreakerState) -> None:
        if before is not after:
            log.warning("rpc.breaker.changed", guarded=self._service, before=before.value, after=after.value)
