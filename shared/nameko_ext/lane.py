"""A lane to one service: calls that meet leave together as one frame, and come back one by one as they finish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import structlog

from shared.contracts import frames
from shared.nameko_ext.coalescer import Coalescer
from shared.nameko_ext.failures import Blame, CallFailure, NobodyKnows, NotExecuted
from shared.nameko_ext.flight import Flight, Question
from shared.nameko_ext.framing import FrameFlight, LoneFlight
from shared.nameko_ext.pending import Pending
from shared.nameko_ext.publishing import CONFIRM_SECONDS
from shared.resilience.coalescing import CoalescingPolicy, Errand, NeverLeft, Sending, Unanswered
from shared.resilience.stock import Stock

log = structlog.get_logger()

POLICY = CoalescingPolicy(batches=2, batch_size=256, room=10_000)
LONGEST_SEND = 120.0

Questions = Sequence[Errand[Question]]


class Lane:
    """A frame takes a slot until the broker has it, not until it is answered: slow calls hold nobody else up.

    ``write`` puts a flight on the wire or raises a ``CallFailure``. A service that answers a frame like stock Nameko
    gets lone calls for a while. ``clock`` gives monotonic seconds.
    """

    def __init__(
        self,
        service: str,
        *,
        write: Callable[[Flight], None],
        pending: Pending,
        policy: CoalescingPolicy = POLICY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._pending = pending
        self.stock = Stock(service, clock=clock)
        self.coalescer: Coalescer[Question, frames.FramedReply] = Coalescer(
            self._send, policy=policy, longest_send=LONGEST_SEND
        )

    def call(self, question: Question) -> frames.FramedReply:
        """The answer, unread. Raises a ``CallFailure``. The greenlet may be killed or timed out at any moment.

        Equal reads for the same user that wait for the same frame share one call.
        """
        method = question.method
        key = None if method.mutating else (method.name, question.kwargs, question.call.user_id)
        try:
            return self.coalescer.submit(question, key=key, deadline=question.until)
        except NeverLeft as fault:
            raise NotExecuted(str(fault), blame=Blame.CALLER) from None
        except Unanswered as fault:
            blame = Blame.SERVICE if question.is_with_broker else Blame.BROKER
            raise NobodyKnows(str(fault), blame=blame) from None

    def close(self) -> None:
        """Nobody waits any more: take no calls, and stop what is still out."""
        self.coalescer.close(drain=0)

    def _send(self, sending: Sending[Question, frames.FramedReply]) -> None:
        flights = list(self._flights(sending, _wanted(sending.errands)))
        self._fly(sending, flights)
        if stranded := [errand for flight in flights for errand in flight.not_understood]:
            self.stock.note()
            self._fly(sending, [LoneFlight(sending, errand, self._pending) for errand in _wanted(stranded)])

    def _flights(self, sending: Sending[Question, frames.FramedReply], errands: Questions) -> Iterator[Flight]:
        speaks_frames = not self.stock.is_known
        framed = [errand for errand in errands if speaks_frames and not _is_private(errand)]
        alone = [errand for errand in errands if not speaks_frames or _is_private(errand)]
        for close in frames.close_together(framed, [errand.deadline or 0.0 for errand in framed]):
            for group in frames.packed(close, [len(errand.item.kwargs) for errand in close]):
                yield FrameFlight(sending, group, self._pending)
        for errand in alone:
            yield LoneFlight(sending, errand, self._pending)

    def _fly(self, sending: Sending[Question, frames.FramedReply], flights: Sequence[Flight]) -> None:
        try:
            for flight in flights:
                self._depart(flight)
            give_up_at = time.monotonic() + CONFIRM_SECONDS
            for flight in flights:
                if not flight.is_over:
                    flight.confirm(give_up_at - time.monotonic())
            sending.release()
            for flight in flights:
                flight.wait_for_answers()
        finally:
            for flight in flights:
                flight.forget()

    def _depart(self, flight: Flight) -> None:
        try:
            self._write(flight)
        except CallFailure as failure:
            flight.fail(failure)
        except Exception:  # what is wrong with the calls in one message is no matter of those in others
            log.exception("rpc.not_written")
            flight.fail(NobodyKnows("it could not be written", blame=Blame.CALLER))


def _wanted(errands: Iterable[Errand[Question]]) -> list[Errand[Question]]:
    return [errand for errand in errands if errand.is_wanted]


def _is_private(errand: Errand[Question]) -> bool:
    """What only operators may send travels alone: the broker cannot see into frames, so services refuse it there."""
    return errand.item.method.operator_only
