"""What guards one service: its breakers, its places, and what a call's end says of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edge.rpc.bulkhead import DividedBulkhead
from edge.rpc.failures import Blame, CallFailure, RemoteRefusal
from shared.metrics.outcomes import REFUSED, outcome_of
from shared.resilience.circuit import WHOLE, Circuit, Ending, Moved, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.resilience.backoff import Dice
    from shared.resilience.breaker import BreakerPolicy

IN_FLIGHT = 512
WAITING = 2048
SHARE = 0.75
"""The most that one method may hold of its service's places."""


class Post:
    """One per service."""

    def __init__(self, policy: BreakerPolicy, *, clock: Callable[[], float], dice: Dice, on_move: Moved) -> None:
        self.circuit = Circuit(policy, clock=clock, dice=dice, on_move=on_move, on_verdict=self._tell)
        self.bulkhead = DividedBulkhead(limit=IN_FLIGHT, queue=WAITING, share=SHARE)
        self._verdict: asyncio.Future[None] | None = None

    def _tell(self) -> None:
        """A probe has ended, somehow: whoever waits for that may try again."""
        verdict, self._verdict = self._verdict, None
        if verdict is not None and not verdict.done():
            verdict.set_result(None)

    async def verdict(self, patience: float) -> None:
        """Wait until the probe that is out has ended, for at most ``patience`` seconds."""
        if self._verdict is None:
            self._verdict = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):  # wait_for() would lose a cancellation that comes with the verdict
                await asyncio.shield(self._verdict)

    def state(self) -> dict[str, Any]:
        """Everything about the service, as plain JSON."""
        seen = self.circuit.seen()
        methods = {
            method: {**_told(one), "in_flight": self.bulkhead.held_by(method)}
            for method, one in seen.items()
            if method != WHOLE
        }
        calls = {"in_flight": self.bulkhead.in_flight, "waiting": self.bulkhead.waiting}
        return {**_told(seen[WHOLE]), **calls, "methods": methods}


def fair_ending(fault: BaseException) -> Ending:
    """What the end of a call that had its time says of the service."""
    if isinstance(fault, RemoteRefusal):
        return Ending.ANSWERED if outcome_of(fault.code) == REFUSED else Ending.FAULTY
    if isinstance(fault, CallFailure) and fault.blame is Blame.SERVICE:
        return Ending.SILENT
    return Ending.VOID


def unfair_ending(fault: BaseException) -> Ending:
    """What that of a call says which had hardly any time left: only an answer counts."""
    ending = fair_ending(fault)
    return ending if ending is Ending.ANSWERED else Ending.VOID


def _told(one: Seen) -> dict[str, Any]:
    return {
        "breaker": one.state.value,
        "reason": one.reason,
        "retry_after": round(one.retry_after, 1),
        "held": one.ruling.value if one.ruling else None,
        "for_seconds": None if one.age is None else round(one.age, 1),
    }
