"""Counts what becomes of holds, once what was done is committed and only by whoever did it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shared.contracts.catalog import OutOfStock, ReservationLost
from shared.messaging.call import Call
from shared.metrics import trade

SHORT: Final = "short"
LOST: Final = "lost"


@contextmanager
def counting_holds(outcome: str, call: Call) -> Iterator[None]:
    """The block brings a hold to ``outcome``, or is refused; repetitions of ``call`` were counted the first time."""
    try:
        yield
    except OutOfStock:
        _count(SHORT, call)
        raise
    except ReservationLost:
        _count(LOST, call)
        raise
    _count(outcome, call)


def _count(outcome: str, call: Call) -> None:
    if not call.marks.replayed:
        trade.held(outcome)
