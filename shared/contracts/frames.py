"""Frames: many calls to one service in one message, and many answers in one. ``docs/rpc.md`` is their specification.

A frame travels like a call of Nameko's, with the routing key ``<service>.batch``; the AMQP property ``type`` says which
of the three it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import msgspec

BATCH = "batch"
"""The word of a routing key where a call has its method."""

CALLS = "kirana.calls"
"""Calls, from a caller to a service."""

REPLIES = "kirana.replies"
"""Answers, as calls finish, from a service to a caller; not necessarily all of one frame's, nor only of one's."""

TAKEN = "kirana.taken"
"""A notice without a body: the frame named by ``correlation_id`` holds a change that may be under way from now on."""

MOST_CALLS = 1024
"""In one frame, which is refused whole when it holds more."""

MOST_BYTES = 256 * 1024
"""Of the parts of one frame, unless a single part is larger: brokers may refuse messages of more than a megabyte."""

RETURN_SECONDS = 0.15
"""Between the expiry of a message in its queue and the end of its caller's waiting."""

CLOSE_SECONDS = 0.25
"""So far apart at most are the deadlines of calls in one frame, which expires for all of them when the first needs to
hear of it. By so much a mate may be given up early, a twentieth of the usual five seconds; and calls that were given
the same time leave together, though some gathered for as long behind a busy broker."""

Part = TypeVar("Part")


class NotAFrame(Exception):
    """The body is none that could be meant; the text says why."""


class FramedCall(msgspec.Struct, frozen=True):
    """One call. ``id`` is its caller's; ``context`` is what a lone call carries in headers, without their prefix."""

    id: Annotated[str, msgspec.Meta(max_length=128)]
    method: Annotated[str, msgspec.Meta(max_length=255)]
    kwargs: msgspec.Raw
    context: dict[str, Any]


class FramedReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer: ``result`` as JSON, or an ``error`` in Nameko's layout, the other being ``null``."""

    id: str
    result: msgspec.Raw
    error: msgspec.Raw
    replayed: bool = False


class _Calls(msgspec.Struct):
    calls: list[FramedCall]


class _Replies(msgspec.Struct):
    replies: list[FramedReply]


_calls_decoder = msgspec.json.Decoder(_Calls)
_replies_decoder = msgspec.json.Decoder(_Replies)
_encoder = msgspec.json.Encoder()


def write_calls(calls: list[FramedCall]) -> bytes:
    """The body of a frame of calls."""
    return _encoder.encode(_Calls(calls))


def read_calls(body: bytes | memoryview) -> list[FramedCall]:
    """The calls of a frame. What is inside of each is for whoever serves it. Raises :class:`NotAFrame`."""
    try:
        calls = _calls_decoder.decode(body).calls
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise NotAFrame(f"not a frame of calls: {str(fault)[:200]}") from None
    if not 0 < len(calls) <= MOST_CALLS:
        raise NotAFrame(f"a frame of {len(calls)} calls")
    if len({call.id for call in calls}) < len(calls):
        raise NotAFrame("a frame in which two calls have the same id")
    return calls


def write_replies(replies: list[FramedReply]) -> bytes:
    """The body of a frame of answers."""
    return _encoder.encode(_Replies(replies))


def read_replies(body: bytes | memoryview) -> list[FramedReply]:
    """The answers of a frame. Raises :class:`NotAFrame`."""
    try:
        return _replies_decoder.decode(body).replies
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise NotAFrame(f"not a frame of answers: {str(fault)[:200]}") from None


def expiration_of(patience: float) -> str:
    """Milliseconds after which the broker gives a call back: early enough for the news to be of use to its caller.

    ``patience`` is in seconds: so long the first of its callers to give up waits.
    """
    return str(max(1, int(max(patience - RETURN_SECONDS, patience / 2) * 1000)))


def close_together(parts: Sequence[Part], deadlines: Sequence[float]) -> Iterator[Sequence[Part]]:
    """``parts`` in groups whose ``deadlines``, in seconds, are close, the soonest first: a queue expires at its head.

    Within a group they keep their order.
    """
    if max(deadlines, default=0.0) - min(deadlines, default=0.0) <= CLOSE_SECONDS:  # as nearly always
        yield parts
        return
    order = sorted(range(len(parts)), key=deadlines.__getitem__)
    first = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or deadlines[order[end]] - deadlines[order[first]] > CLOSE_SECONDS:
            yield [parts[number] for number in sorted(order[first:end])]
            first = end


def packed(parts: Sequence[Part], sizes: Iterable[int]) -> Iterator[list[Part]]:
    """``parts`` in order, in groups that each fit into a frame; ``sizes`` are theirs, in bytes."""
    group: list[Part] = []
    room = MOST_BYTES
    for part, size in zip(parts, sizes, strict=True):
        if group and (size > room or len(group) == MOST_CALLS):
            yield group
            group, room = [], MOST_BYTES
        group.append(part)
        room -= size
    if group:
        yield group
