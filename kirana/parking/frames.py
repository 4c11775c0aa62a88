"""Lets a message with a broken header be seen: to most clients it is the end of the connection, each time it comes."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

from amqp.basic_message import Message
from amqp.exceptions import FrameSyntaxError
from amqp.method_framing import frame_handler

from shared.contracts.parked import DELIVERY_COUNT

HEADER_FRAME = 2
_COUNT = DELIVERY_COUNT.encode() + b"l"  # a signed long, in eight bytes
PROPERTIES_START = 12  # after class, weight and body size

_CANNOT_BE_READ = (UnicodeDecodeError, FrameSyntaxError, ValueError, OverflowError, struct.error, IndexError)

UNREADABLE = "x-kirana-unreadable"
"""Never on the wire: the bytes of properties that no client can read, in base64."""


def raw_message(body: bytes, raw: bytes) -> Message:
    """A message with its properties as the bytes that they came in."""
    message = Message(body)
    message._serialize_properties = lambda: raw  # noqa: SLF001 - py-amqp has no other way to say it
    return message


def forgiving_frame_handler(connection: Any, callback: Any) -> Callable[[Any], Any]:
    """Like py-amqp's; properties that cannot be read arrive as one header, :data:`UNREADABLE`."""
    on_frame = frame_handler(connection, callback)

    def forgiving(frame: Any) -> Any:
        kind, channel, payload = frame
        if kind != HEADER_FRAME:
            return on_frame(frame)
        try:
            return on_frame(frame)
        except _CANNOT_BE_READ:
            start, raw = bytes(payload[:PROPERTIES_START]), bytes(payload[PROPERTIES_START:])
            return on_frame((kind, channel, start + _as_one_header(raw)))

    return forgiving


def returns_in(raw: bytes) -> int:
    """How often the message came back to its queue: the broker appends that to properties it cannot read either."""
    _, mark, rest = raw.rpartition(_COUNT)
    return int.from_bytes(rest[:8], signed=True) if mark else 0


def rewound(raw: bytes) -> bytes:
    """The properties of a message that never came back."""
    before, mark, rest = raw.rpartition(_COUNT)
    return before + mark + bytes(8) + rest[8:] if mark else raw


def _as_one_header(raw: bytes) -> bytes:
    told = Message(b"", application_headers={UNREADABLE: base64.b64encode(raw).decode()})
    properties: bytes = told._serialize_properties()  # noqa: SLF001 - py-amqp has no other word for it
    return properties
