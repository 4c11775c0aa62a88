"""How a call can fail, sorted by what the caller may do about it."""

from __future__ import annotations

from enum import Enum
from typing import Any

ANSWER_MARGIN = 0.05
"""Seconds before the deadline at which waiting ends, so that the edge still has time to answer."""


class Blame(Enum):
    """Whose fault a failure is. Only a service's own fault counts towards opening its breaker."""

    SERVICE = "service"
    BROKER = "broker"
    EDGE = "edge"


class RemoteRefusal(Exception):
    """The service answered no: ``code`` and ``sentence`` may be shown, ``details`` is plain JSON.

    ``remote_type`` is the exception's class name as the service gave it, for the logs only; ``replayed`` says that an
    earlier run of the same operation ended so.
    """

    replayed = False

    def __init__(self, code: str, sentence: str, details: dict[str, Any], *, remote_type: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.details = details
        self.remote_type = remote_type


class CallFailure(Exception):
    """There is no answer. ``reason`` is for the logs."""

    def __init__(self, reason: str, *, blame: Blame = Blame.EDGE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.blame = blame

    @property
    def is_repeatable(self) -> bool:
        """Whether a second try may fare better: not when the edge itself was the cause."""
        return self.blame is not Blame.EDGE


class NotExecuted(CallFailure):
    """Proved not to have happened: safe to try again after ``retry_after`` seconds (HTTP 503)."""

    def __init__(self, reason: str, retry_after: int = 1, *, blame: Blame = Blame.EDGE) -> None:
        super().__init__(reason, blame=blame)
        self.retry_after = retry_after


class Forbidden(NotExecuted):
    """The broker does not let the edge send this."""


class OutcomeUnknown(CallFailure):
    """It may or may not have happened: only a repetition with the same operation id is safe (HTTP 504)."""
