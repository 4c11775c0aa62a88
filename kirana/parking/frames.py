"""Lets a message with a broken header be seen: to most clients it is the end of the connection, each time it comes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from amqp.basic_message import Message

from shared.contracts.parked import DELIVERY_COUNT
from shared.messaging import unreadable

_COUNT = DELIVERY_COUNT.encode() + b"l"  # a signed long, in eight bytes

UNREADABLE = "x-kirana-unreadable"
"""Never on the wire: the bytes of properties that no client can read, in base64."""


def raw_message(body: bytes, raw: bytes) -> Message:
    """A message with its properties as the bytes that they came in."""
    message = Message(body)
    message._serialize_properties = lambda: raw  # noqa: SLF001 - py-amqp has no other way to say it
    return message


def forgiving_frame_handler(connection: Any, callback: Any) -> Callable[[Any], Any]:
    """Like py-amqp's; properties that cannot be read arrive as one header, :data:`UNREADABLE`."""
    return unreadable.forgiving_frame_handler(connection, callback, instead=_as_one_header)


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
