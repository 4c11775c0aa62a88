"""Says in one word how a call ended: the same words whoever counts it."""

from __future__ import annotations

from typing import Final

from shared.contracts.refusals import DeadlinePassed, Internal, OutcomeUnknown, Unavailable

ANSWERED: Final = "answered"
REFUSED: Final = "refused"
FAILED: Final = "failed"
NOT_EXECUTED: Final = "not_executed"
UNKNOWN: Final = "unknown"
ABANDONED: Final = "abandoned"
"""The caller went away before the outcome."""

OUTCOMES: Final = (ANSWERED, REFUSED, FAILED, NOT_EXECUTED, UNKNOWN, ABANDONED)

_OF_CODE = {
    None: ANSWERED,
    Internal.code: FAILED,
    Unavailable.code: NOT_EXECUTED,
    DeadlinePassed.code: NOT_EXECUTED,
    OutcomeUnknown.code: UNKNOWN,
}


def outcome_of(code: str | None) -> str:
    """The outcome of a call that was answered (``None``) or refused with ``code``."""
    return _OF_CODE.get(code, REFUSED)
