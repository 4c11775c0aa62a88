"""Lets a message arrive that cannot be read: to the library it is the end of the connection and of every call on it."""

from __future__ import annotations

import asyncio
from struct import pack
from typing import TYPE_CHECKING, Any

import aiormq
import structlog
from aiormq.connection import FrameReceiver
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError
from pamqp import constants, frame
from pamqp.commands import Basic
from pamqp.common import Struct
from pamqp.exceptions import PAMQPException

if TYPE_CHECKING:
    from aiormq.connection import ReceivedFrame

log = structlog.get_logger()

LARGEST_HEADER = 16 * 1024
"""Of a frame with properties, in bytes: the library's time for them grows with the square of their size, and the
loop stands still for it. What services send has a few hundred, and they take no call with more."""

_FRAME = ">BHI"  # kind, channel and size
_START = constants.FRAME_HEADER_SIZE
_END = len(constants.FRAME_END_CHAR)
_PROPERTIES_START = 12  # after class, weight and body size
_NO_PROPERTIES = b"\x00\x00"
_DELIVERY = Struct.integer.pack(Basic.Deliver.index)
_TAG_START = len(_DELIVERY)
_BETWEEN_NAMES = 9  # the delivery tag, and whether it comes again
_NO_NAMES = b"\x00\x00"  # neither exchange nor routing key


class ForgivingConnection(aiormq.Connection):
    """No message ends it, whatever the bytes of its properties and its routing key are."""

    async def _Connection__reader(self, frame_receiver: FrameReceiver) -> None:  # noqa: N802  # its private name
        """Read as the library does, which has no other place to say with what."""
        library: Any = super()
        await library._Connection__reader(ForgivingReceiver(frame_receiver.reader))  # noqa: SLF001  # see above


class ForgivingReceiver(FrameReceiver):
    """Properties that cannot be read arrive as none, and names of a delivery that are no text as empty ones.

    So an answer becomes one for which nobody waits; events are read by their bodies alone.
    """

    async def get_frame(self) -> ReceivedFrame:
        """The next frame. Raises ``AMQPConnectionError`` when there is none, ``InvalidFrameError`` for no frame."""
        if self.reader.at_eof():
            raise StopAsyncIteration
        try:
            start = await self.reader.readexactly(_START)
            _, _, size = frame.frame_parts(start)
            data = start + await self.reader.readexactly((size or 0) + _END)
        except (asyncio.IncompleteReadError, OSError) as fault:
            raise AMQPConnectionError(f"the connection to the broker was lost: {fault!r}") from fault
        return _read(data)


def _read(data: bytes) -> ReceivedFrame:
    if len(data) > LARGEST_HEADER and data[0] == constants.FRAME_HEADER:
        return _read_in_part(data, "too large")
    try:
        return frame.unmarshal(data)
    except Exception as fault:  # noqa: BLE001  # its faults have no end: OverflowError for a date, RecursionError, …
        return _read_in_part(data, type(fault).__name__)


def _read_in_part(data: bytes, reason: str) -> ReceivedFrame:
    """Without what came from whoever published it. Raises ``InvalidFrameError`` where that is not what was wrong."""
    kind, channel, _ = frame.frame_parts(data)
    content, end = data[_START:-_END], data[-_END:]
    if kind == constants.FRAME_HEADER:
        content = content[:_PROPERTIES_START] + _NO_PROPERTIES
    elif kind == constants.FRAME_METHOD and content.startswith(_DELIVERY):
        content = content[: _TAG_START + 1 + content[_TAG_START] + _BETWEEN_NAMES] + _NO_NAMES
    else:
        raise InvalidFrameError(reason)
    log.warning("rpc.message.unreadable", reason=reason)
    try:
        return frame.unmarshal(pack(_FRAME, kind, channel, len(content)) + content + end)
    except PAMQPException as fault:
        raise InvalidFrameError(str(fault)) from fault
