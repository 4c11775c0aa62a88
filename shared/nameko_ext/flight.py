"""A message with calls to another service, from its writing to the outcome of the last call in it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eventlet import Timeout
from eventlet.event import Event

from shared.contracts import frames
from shared.contracts.method import Method
from shared.messaging.call import Call
from shared.nameko_ext.failures import Blame, CallFailure, NobodyKnows, NotExecuted
from shared.nameko_ext.pending import Pending
from shared.nameko_ext.publishing import CONFIRMED, LOST, NACKED, UNROUTABLE, Confirmation
from shared.resilience.coalescing import Errand, Sending

_NOT_TAKEN = {UNROUTABLE: ("no queue takes this call", 5), NACKED: ("the service's queue is full", 2)}


@dataclass(eq=False)
class Question:
    """A call as it waits: its arguments are written already. ``until`` is a moment of ``time.monotonic``."""

    method: Method
    kwargs: bytes
    call: Call
    until: float
    is_with_broker: bool = False


class Flight(Confirmation, ABC):
    """Its fate at the broker, and the calls in it that have no outcome yet."""

    kind: str | None = None

    def __init__(
        self,
        sending: Sending[Question, frames.FramedReply],
        errands: Iterable[Errand[Question]],
        pending: Pending,
    ) -> None:
        super().__init__()
        self.id = pending.post(self)
        self._pending = pending
        self._sending = sending
        self._errands = {self._name_call(): errand for errand in errands}
        deadlines = [errand.deadline or 0.0 for errand in self._errands.values()]
        self._first_deadline, self._last_deadline = min(deadlines), max(deadlines)
        self._is_taken = False
        self._over = Event()
        self.not_understood: list[Errand[Question]] = []

    @property
    @abstractmethod
    def method(self) -> str:
        """The last word of its routing key."""

    @abstractmethod
    def body(self) -> bytes:
        """What is written."""

    def headers(self) -> dict[str, Any]:
        """What travels with it, besides its properties."""
        return {}

    @abstractmethod
    def replied(self, body: bytes) -> None:
        """A reply to the message as a whole."""

    def callers(self) -> list[str]:
        """Whose calls these are, as spans; those who share a call among them."""
        calls = [waiter.item.call for errand in self._errands.values() for waiter in errand.waiters]
        return [call.traceparent for call in calls if call.traceparent is not None]

    @property
    def is_over(self) -> bool:
        """Whether every call has its outcome."""
        return bool(self._over.ready())

    def patience(self) -> float:
        """Seconds until the first who waits for any of it is gone: its expiry is to be news to all of them."""
        return max(0.0, self._first_deadline - time.monotonic())

    def longest_patience(self) -> float:
        """Seconds until the last who waits for any of it is gone."""
        return max(0.0, self._last_deadline - time.monotonic())

    def settle(self, fate: str) -> None:
        """What the broker says of it."""
        super().settle(fate)
        if fate == CONFIRMED:
            for errand in self._errands.values():
                for waiter in errand.waiters:
                    waiter.item.is_with_broker = True

    def confirm(self, seconds: float) -> None:
        """Wait until the broker has it: so long at most. What it has not, fails."""
        fate = self.wait(max(0.0, min(seconds, self.longest_patience())))
        if fate == LOST:
            self.fail(NobodyKnows("the broker did not confirm", blame=Blame.BROKER))
        elif fate != CONFIRMED:
            reason, retry_after = _NOT_TAKEN[fate]
            self.fail(NotExecuted(reason, retry_after, blame=Blame.SERVICE))

    def wait_for_answers(self) -> None:
        """Until the last, or until nobody waits for it any more."""
        with Timeout(self.longest_patience(), exception=False):
            self._over.wait()
        if not self.is_over:
            self.fail(NobodyKnows("no answer before the deadline", blame=Blame.SERVICE))

    def answered(self, reply: frames.FramedReply) -> None:
        """One call is done; its mates go on."""
        errand = self._errands.pop(reply.id, None)
        if errand is not None:
            self._sending.answer(errand, reply)
        self._note_end()

    def taken(self) -> None:
        """A change in it may be under way."""
        self._is_taken = True

    def expired(self) -> None:
        """Nobody has it now. Whether somebody had it, only a notice tells."""
        for call_id, errand in list(self._errands.items()):
            if self._is_taken and errand.item.method.mutating:
                self._end(call_id, NobodyKnows("it expired after a service had it", blame=Blame.SERVICE))
            else:
                self._end(call_id, NotExecuted("it expired in the service's queue", blame=Blame.SERVICE))

    def lost(self) -> None:
        """The link has gone. While the broker had not confirmed it, whoever writes it learns more."""
        if self._fate.ready() and self.wait(0) == CONFIRMED:
            self.fail(NobodyKnows("the link was lost before the answer came", blame=Blame.BROKER))

    def fail(self, failure: CallFailure) -> None:
        """Every call that has no outcome yet fails."""
        for call_id in list(self._errands):
            self._end(call_id, failure)

    def forget(self) -> None:
        """Whatever still comes is late."""
        self._pending.forget(self.id, *self._errands)
        self._errands.clear()
        self._note_end()

    def _name_call(self) -> str:
        return self.id

    def _end(self, call_id: str, failure: CallFailure) -> None:
        self._pending.forget(call_id)
        self._sending.fail(self._errands.pop(call_id), failure)
        self._note_end()

    def _note_end(self) -> None:
        if not self._errands and not self._over.ready():
            self._over.send(None)
