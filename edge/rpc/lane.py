"""A lane to one service: calls that wait leave together as one frame, and come back one by one as they finish."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import Raw, Struct

from edge.rpc.coalescer import Coalescer
from edge.rpc.failures import (
    ANSWER_MARGIN,
    Blame,
    CallFailure,
    Forbidden,
    NotExecuted,
    OutcomeUnknown,
    RemoteRefusal,
)
from edge.rpc.wire import context_of, decode_reply, frame_properties, open_reply
from shared.contracts import frames
from shared.resilience.coalescing import CoalescingPolicy, NeverLeft, Overloaded, Unanswered
from shared.resilience.deadline import FAIR_SECONDS
from shared.tracing import recording
from shared.tracing.framing import framed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aiormq.abc import DeliveredMessage

    from edge.rpc.calls import CallContext, RpcReply
    from edge.rpc.connection import Broker
    from edge.rpc.link import Link
    from edge.rpc.pending import Pending
    from shared.contracts.method import Method
    from shared.resilience.coalescing import Errand, Sending

POLICY = CoalescingPolicy(batches=1, batch_size=256, room=10_000)
LONGEST_SEND = 120.0
UNKNOWN_METHOD = "MethodNotFound"


class FramesNotSpoken(Exception):
    """The service knows no frames, or the broker allows none to it: so none of these calls was executed."""


class FramesForbidden(FramesNotSpoken):
    """The broker allows none to it, and closed the channel for this one: calls of others were lost with that."""


class Parcel(Struct):
    """A call as it waits: its arguments are written already."""

    method: Method
    kwargs: bytes
    context: CallContext
    is_with_broker: bool = False


class Lane:
    """A frame takes a slot until the broker has it, not until it is answered: slow calls hold nobody else up."""

    def __init__(self, service: str, *, broker: Broker, pending: Pending, policy: CoalescingPolicy = POLICY) -> None:
        self._routing_key = f"{service}.{frames.BATCH}"
        self._broker = broker
        self._pending = pending
        self.coalescer: Coalescer[Parcel, frames.FramedReply] = Coalescer(
            self._send, policy=policy, longest_send=LONGEST_SEND
        )

    async def call(self, method: Method, arguments: dict[str, Any], *, context: CallContext) -> RpcReply:
        """Raises ``RemoteRefusal``, ``NotExecuted``, ``OutcomeUnknown``, or :class:`FramesNotSpoken`.

        Equal reads for the same user that wait for the same frame share one call; each caller gets a copy of its own.
        """
        kwargs = orjson.dumps(arguments)
        key = None if method.mutating else (method.name, kwargs, context.user_id)
        deadline = context.deadline.monotonic - ANSWER_MARGIN
        parcel = Parcel(method, kwargs, context)
        try:
            reply = await self.coalescer.submit(parcel, key=key, deadline=deadline)
        except Overloaded:
            raise NotExecuted("too many calls to this service are waiting") from None
        except NeverLeft as fault:
            raise NotExecuted(str(fault)) from None
        except Unanswered as fault:
            blame = Blame.SERVICE if parcel.is_with_broker else Blame.BROKER
            raise OutcomeUnknown(str(fault), blame=blame) from None
        return open_reply(reply)

    async def close(self, *, drain: float) -> None:
        """Take no more calls; wait ``drain`` seconds for those that are out."""
        await self.coalescer.close(drain=drain)

    async def _send(self, sending: Sending[Parcel, frames.FramedReply]) -> None:
        link = self._broker.link()
        flights = [Flight(sending, group, self._pending) for group in _groups(sending.errands)]
        try:
            if len(flights) == 1:  # as nearly always
                await self._fly(flights[0], link)
            else:
                async with asyncio.TaskGroup() as several:
                    for flight in flights:
                        several.create_task(self._fly(flight, link))
        finally:
            for flight in flights:
                flight.forget()

    async def _fly(self, flight: Flight, link: Link) -> None:
        try:
            with self._pending.awaited(flight) as frame_id:
                await self._publish(flight, link, frame_id)
                flight.sending.release()
                await flight.landed()
        except Forbidden:
            flight.fail(FramesForbidden())
        except CallFailure as failure:
            flight.fail(failure)

    async def _publish(self, flight: Flight, link: Link, frame_id: str) -> None:
        properties = frame_properties(frame_id, reply_to=link.reply_to, patience=flight.patience())
        try:
            with framed(flight.callers() if recording.active else (), self._routing_key, frame_id):
                patience = flight.longest_patience()
                await link.publish(flight.body(), self._routing_key, properties, patience=patience)
        except OutcomeUnknown:
            if not flight.over.done():
                raise
        else:
            flight.confirmed()


class Flight:
    """One frame under way."""

    def __init__(
        self,
        sending: Sending[Parcel, frames.FramedReply],
        errands: Sequence[Errand[Parcel]],
        pending: Pending,
    ) -> None:
        self.sending = sending
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending = pending
        self._errands = {pending.expect(self): errand for errand in errands}
        deadlines = [errand.deadline or 0.0 for errand in errands]
        self._first_deadline, self._last_deadline = min(deadlines), max(deadlines)
        self._is_taken = False
        self._had_its_time = self.patience() >= FAIR_SECONDS

    def body(self) -> bytes:
        """The frame."""
        return frames.write_calls(
            [
                frames.FramedCall(call_id, errand.item.method.name, Raw(errand.item.kwargs), _context_of(errand))
                for call_id, errand in self._errands.items()
            ]
        )

    def callers(self) -> list[str]:
        """Whose calls these are, as spans; those who share a call among them."""
        contexts = [waiter.item.context for errand in self._errands.values() for waiter in errand.waiters]
        return [context.traceparent for context in contexts if context.traceparent is not None]

    def patience(self) -> float:
        """Seconds until the first who waits for any of it is gone: its expiry is to be news to all of them."""
        return max(0.0, self._first_deadline - time.monotonic())

    def longest_patience(self) -> float:
        """Seconds until the last who waits for any of it is gone."""
        return max(0.0, self._last_deadline - time.monotonic())

    def confirmed(self) -> None:
        """The broker has it: who hears nothing from now on waits for the service."""
        for errand in self._errands.values():
            for waiter in errand.waiters:
                waiter.item.is_with_broker = True

    async def landed(self) -> None:
        """Wait until every call has its outcome; those that have none at the deadline fail then."""
        alarm = self.over.get_loop().call_later(self.longest_patience(), self._overdue)
        try:
            await self.over
        finally:
            alarm.cancel()

    def answered(self, replies: Iterable[frames.FramedReply]) -> None:
        """These calls are done; their mates go on."""
        answers = [(errand, reply) for reply in replies if (errand := self._errands.pop(reply.id, None)) is not None]
        for errand, _ in answers:
            if not errand.is_wanted:
                self._pending.late(errand.item.method)
        self.sending.answer_all(answers)
        if not self._errands and not self.over.done():
            self.over.set_result(None)

    def replied(self, message: DeliveredMessage) -> None:
        """An answer to the whole frame can only say that it was not understood."""
        try:
            decode_reply(message.body, {})
            failure: Exception = OutcomeUnknown("a frame was answered like a call", blame=Blame.SERVICE)
        except RemoteRefusal as refusal:
            failure = FramesNotSpoken() if refusal.remote_type == UNKNOWN_METHOD else refusal
        except OutcomeUnknown as unknown:
            failure = unknown
        self.fail(failure)

    def taken(self) -> None:
        """A change in it may be under way."""
        self._is_taken = True

    def expired(self) -> None:
        """Nobody has it now. Whether somebody had it, only a notice tells. What left too late expired by our fault."""
        blame = Blame.SERVICE if self._had_its_time else Blame.EDGE
        for call_id, errand in list(self._errands.items()):
            if self._is_taken and errand.item.method.mutating:
                failure: CallFailure = OutcomeUnknown("it expired after a service had it", blame=blame)
            else:
                failure = NotExecuted("it expired in the service's queue", blame=blame)
            self._pending.forget(call_id)
            del self._errands[call_id]
            self.sending.fail(errand, failure)
        if not self.over.done():
            self.over.set_result(None)

    def fail(self, failure: Exception) -> None:
        """Every call that has no answer yet fails."""
        for errand in self._errands.values():
            self.sending.fail(errand, failure)
        self.forget()
        if not self.over.done():
            self.over.set_result(None)

    def _overdue(self) -> None:
        self.fail(OutcomeUnknown("no answer before the deadline", blame=Blame.SERVICE))

    def forget(self) -> None:
        """Whatever still comes is late."""
        for call_id, errand in self._errands.items():
            self._pending.forget(call_id)
            self._pending.give_up(call_id, errand.item.method)
        self._errands.clear()


def _groups(errands: Iterable[Errand[Parcel]]) -> Iterator[Sequence[Errand[Parcel]]]:
    """Those that somebody still waits for, as they share frames."""
    wanted = [errand for errand in errands if errand.is_wanted]
    for group in frames.close_together(wanted, [errand.deadline or 0.0 for errand in wanted]):
        yield from frames.packed(group, [len(errand.item.kwargs) for errand in group])


def _context_of(errand: Errand[Parcel]) -> dict[str, Any]:
    """That of the first who asked; but the service works for as long as the last of them waits."""
    method, context = errand.item.method, errand.item.context
    if len(errand.waiters) == 1 and next(iter(errand.waiters)).item is errand.item:  # it is the last, too
        return context_of(method, context)
    last = (errand.deadline or 0.0) + ANSWER_MARGIN - context.deadline.monotonic
    return context_of(method, context, deadline_ms=context.deadline.epoch_ms + int(max(0.0, last) * 1000))
