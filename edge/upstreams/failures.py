"""How asking an instance can fail, sorted by what is known of the request's fate."""

from __future__ import annotations

from edge.problems import Rejected
from edge.rpc.failures import Blame, CallFailure, NotExecuted, OutcomeUnknown


class Unreached(NotExecuted):
    """No connection was made, so nothing was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, blame=Blame.SERVICE)


class Broken(OutcomeUnknown):
    """Something was sent, and no answer came: the connection broke, or the time was over."""

    def __init__(self, reason: str, *, blame: Blame = Blame.SERVICE) -> None:
        super().__init__(reason, blame=blame)


class Unusable(Rejected):
    """An answer came that nobody can use: no HTTP, too large, or not what the route promises (502)."""

    def __init__(self, reason: str) -> None:
        super().__init__("upstream.unusable", "The service behind this gave an answer that cannot be used.")
        self.reason = reason


Unanswered = (CallFailure, Unusable)
