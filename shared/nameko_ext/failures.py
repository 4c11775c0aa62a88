"""How a call to another service can fail, sorted by what is known of it and by whose fault it is."""

from __future__ import annotations

from enum import Enum


class Blame(Enum):
    """Whose fault a failure is. Only a service's own fault counts towards opening its breaker."""

    SERVICE = "service"
    BROKER = "broker"
    CALLER = "caller"


class CallFailure(Exception):
    """There is no answer. ``reason`` is for the logs."""

    def __init__(self, reason: str, *, blame: Blame) -> None:
        super().__init__(reason)
        self.reason = reason
        self.blame = blame


class NotExecuted(CallFailure):
    """Proved not to have happened; ``retry_after`` is in seconds."""

    def __init__(self, reason: str, retry_after: int = 1, *, blame: Blame) -> None:
        super().__init__(reason, blame=blame)
        self.retry_after = retry_after


class NobodyKnows(CallFailure):
    """It may or may not have happened."""


class Unreadable(CallFailure):
    """Something came back that is no answer: the service is at fault."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, blame=Blame.SERVICE)
