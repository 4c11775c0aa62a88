"""Says in the log why a service could not do something; its caller is told a code only."""

from __future__ import annotations

from shared.contracts.refusals import Refusal

LONGEST_REASON = 300
MOST_CAUSES = 8


def reason_of(refusal: Refusal) -> str | None:
    """What lies under a refusal (``LockNotAvailable: canceling statement …``); ``None`` for a rule's own no.

    Of an exception's text only its first line is taken: the driver's further lines, and the wrapper's own text, hold
    statements and values of customers.
    """
    fault = _root(refusal)
    if fault is refusal:
        return None if refusal.args == (refusal.sentence,) else str(refusal)[:LONGEST_REASON]
    text = str(fault).strip().partition("\n")[0]
    name = type(fault).__qualname__
    return (f"{name}: {text}" if text else name)[:LONGEST_REASON]


def _root(fault: BaseException) -> BaseException:
    """The first cause of all; of a database fault the driver's, as its wrapper holds the statement."""
    for _ in range(MOST_CAUSES):
        below = getattr(fault, "orig", None) or fault.__cause__
        if not isinstance(below, BaseException):
            break
        fault = below
    return fault
