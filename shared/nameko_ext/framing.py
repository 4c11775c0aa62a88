"""The two forms in which calls travel: framed, or one by one as stock Nameko knows them."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from shared.contracts import frames
from shared.messaging.call import Call
from shared.nameko_ext import wire
from shared.nameko_ext.failures import Blame, NobodyKnows, Unreadable
from shared.nameko_ext.flight import Flight, Question
from shared.nameko_ext.pending import Pending
from shared.resilience.coalescing import Errand, Sending

UNKNOWN_METHOD = "MethodNotFound"
_NULL = Raw(b"null")


class _Body(msgspec.Struct):
    result: Raw
    error: Raw


class _Fault(msgspec.Struct):
    exc_type: Any = ""


class FrameFlight(Flight):
    """Several calls in one message."""

    kind = frames.CALLS
    method = frames.BATCH

    def body(self) -> bytes:
        """The frame."""
        return frames.write_calls(
            [
                frames.FramedCall(
                    call_id, errand.item.method.name, Raw(errand.item.kwargs), wire.context_of(_leaving(errand))
                )
                for call_id, errand in self._errands.items()
            ]
        )

    def replied(self, body: bytes) -> None:
        """It can only say that the frame was not understood, or not taken."""
        try:
            reply = _read(body)
        except Unreadable as failure:
            self.fail(failure)
            return
        if bytes(reply.error) == b"null":
            self.fail(NobodyKnows("a frame was answered like a call", blame=Blame.SERVICE))
        elif _kind_of(reply.error) == UNKNOWN_METHOD:
            self.not_understood = list(self._errands.values())
            self.forget()
        else:
            for call_id in list(self._errands):
                self._pending.forget(call_id)
                self.answered(frames.FramedReply(call_id, _NULL, reply.error))

    def _name_call(self) -> str:
        return self._pending.expect(self)


class LoneFlight(Flight):
    """A call in a message of its own, as stock Nameko knows it. Nobody sends notices of it."""

    def __init__(
        self, sending: Sending[Question, frames.FramedReply], errand: Errand[Question], pending: Pending
    ) -> None:
        super().__init__(sending, [errand], pending)
        self._errand = errand
        self._is_taken = True  # for all that is known: of a change, an earlier delivery may have been run

    @property
    def method(self) -> str:
        """Its own."""
        return self._errand.item.method.name

    def body(self) -> bytes:
        """As Nameko has it."""
        return b'{"args": [], "kwargs": %b}' % self._errand.item.kwargs

    def headers(self) -> dict[str, Any]:
        """The context."""
        return wire.write_call(_leaving(self._errand))

    def replied(self, body: bytes) -> None:
        """This is the answer."""
        try:
            reply = _read(body)
        except Unreadable as failure:
            self.fail(failure)
        else:
            self.answered(frames.FramedReply(self.id, reply.result, reply.error))


def _leaving(errand: Errand[Question]) -> Call:
    """The call as it travels: with the latest deadline of those who share it, and the moment at which it leaves."""
    call = errand.item.call
    deadlines = [waiter.item.call.deadline for waiter in errand.waiters if waiter.item.call.deadline is not None]
    return replace(call, deadline=max(deadlines, default=call.deadline), sent_at_ms=time.time_ns() // 1_000_000)


def _read(body: bytes) -> _Body:
    try:
        return msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise Unreadable(f"unreadable reply: {str(fault)[:200]}") from None


def _kind_of(error: Raw) -> Any:
    try:
        return msgspec.json.decode(error, type=_Fault).exc_type
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
