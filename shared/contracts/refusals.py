"""Refusals: expected answers that say no, and cross the wire as code + sentence + details."""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A rule of the shop said no. Nothing was changed.

    ``code`` is stable and dotted; ``sentence`` is for people; ``details`` is plain JSON for programs.
    """

    code: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self, sentence: str | None = None, **details: Any) -> None:
        super().__init__(sentence or self.sentence)
        self.details = details

    def to_wire(self) -> dict[str, Any]:
        """Nameko's error form, without any Python path: ``exc_args`` holds code, sentence and details."""
        return {
            "exc_type": type(self).__name__,
            "exc_path": f"kirana.{self.code}",
            "exc_args": [self.code, str(self), self.details],
            "value": str(self),
        }


class InvalidRequest(Refusal):
    """``details['errors']`` is ``[{"pointer": "/items/0/quantity", "detail": "…"}]``, one per bad field."""

    code = "request.invalid"
    sentence = "The request has fields that cannot be accepted."


class KeyReused(Refusal):
    """The same Idempotency-Key came with another request."""

    code = "idempotency.key_reused"
    sentence = "This Idempotency-Key was already used for a different request."


class StillRunning(Refusal):
    """The first request with this Idempotency-Key has not finished. ``details['retry_after']`` is in seconds."""

    code = "idempotency.still_running"
    sentence = "The first request with this Idempotency-Key is still running. Try again shortly."


class DeadlinePassed(Refusal):
    """The caller has gone; the work was not done or was rolled back."""

    code = "deadline.passed"
    sentence = "The deadline passed before the work could be done. Nothing was changed."


class Unavailable(Refusal):
    """Something this service needs is away; nothing was changed. ``details['retry_after']`` is in seconds."""

    code = "service.unavailable"
    sentence = "The service cannot do this right now. Nothing was changed; try again shortly."


class OutcomeUnknown(Refusal):
    """The call may or may not have had its effect: repeat it with the same Idempotency-Key."""

    code = "outcome.unknown"
    sentence = "It is not known whether this happened. Repeat the request with the same Idempotency-Key."


class Internal(Refusal):
    """The only thing a caller is told of an unexpected fault."""

    code = "internal"
    sentence = "Something went wrong on our side. The request id finds the details in the logs."


NOT_ANSWERS = (Unavailable, DeadlinePassed, StillRunning, OutcomeUnknown, Internal)
"""Refusals that say "not now": they are never remembered as the answer of an operation."""

CODES_OF_NO_ANSWER = frozenset(refusal.code for refusal in NOT_ANSWERS)


class StaleVersion(Refusal):
    """An If-Match or ``expected_version`` did not name the current version (``details['version']``)."""

    code = "version.stale"
    sentence = "The resource has changed since the version you named."
