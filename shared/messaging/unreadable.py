"""Lets a message arrive that cannot be read: to most clients it is the end of the connection, each time it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amqp import spec
from amqp.method_framing import frame_handler

HEADER_FRAME = 2
PROPERTIES_START = 12  # after class, weight and body size
METHOD_START = 4  # after its class and number
BETWEEN_NAMES = 9  # the delivery tag, and whether it comes again


def forgiving_frame_handler(
    connection: Any, callback: Any, *, instead: Callable[[bytes], bytes]
) -> Callable[[Any], Any]:
    """Like py-amqp's, but properties that cannot be read arrive as what ``instead`` makes of their bytes.

    So do names that are no text, each as ASCII. One such message would otherwise cut the connection that it is
    delivered on, be put back by the broker for that, and cut the next, for ever.
    """
    arrived: list[tuple[Any, ...]] = []
    on_frame = frame_handler(connection, lambda *message: arrived.append(message))

    def forgiving(frame: Any) -> Any:
        kind, channel, payload = frame
        try:
            is_whole = on_frame(frame)
        except Exception:  # whatever it is: a library's faults have no end (OSError for a date, RecursionError, …)
            if kind != HEADER_FRAME:
                raise
            start, raw = bytes(payload[:PROPERTIES_START]), bytes(payload[PROPERTIES_START:])
            is_whole = on_frame((kind, channel, start + instead(raw)))
        if arrived:  # handed on only here, where no fault of whoever takes it is mistaken for one of the header's
            to, method, arguments, content = arrived.pop()
            if method == spec.Basic.Deliver:
                arguments = readable(bytes(arguments))
            callback(to, method, arguments, content)
        return is_whole

    return forgiving


def readable(delivery: bytes) -> bytes:
    """The arguments of a delivery with the names of its exchange and its routing key as text.

    Whoever publishes may make a routing key of any bytes. The consumer's tag, before them, is its own.
    """
    start = METHOD_START + 1 + delivery[METHOD_START] + BETWEEN_NAMES
    names = delivery[start:]
    if names.isascii():  # as nearly always
        return delivery
    end = 1 + names[0]
    return delivery[:start] + _short(names[1:end]) + _short(names[end + 1 :])


def _short(name: bytes) -> bytes:
    """As AMQP writes a short text; what is none gets a question mark for each sign, and so never grows."""
    try:
        name.decode()
    except UnicodeDecodeError:
        name = name.decode(errors="replace").encode("ascii", "replace")
    return bytes((len(name),)) + name
