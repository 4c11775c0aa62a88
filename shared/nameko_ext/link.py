"""A connection to the broker that heals itself: one greenlet reads, any greenlet writes, nothing it meets is fatal."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from amqp import spec
from eventlet import Timeout, sleep
from eventlet.event import Event
from eventlet.semaphore import Semaphore
from eventlet.support.greenlets import GreenletExit
from kombu.connection import Connection

from shared.messaging.unreadable import forgiving_frame_handler

log = structlog.get_logger()

HEARTBEAT_SECONDS = 10
CONNECT_SECONDS = 3
OPENING_SECONDS = 10
WRITE_SECONDS = 5
LEAVING_SECONDS = 3
LONGEST_PAUSE_SECONDS = 2.0  # the shop must be back within 10 s of the broker
CLOSE_SIGNATURE = "BsBB"
CLOSE_CODE = 200  # AMQP's "reply-success"
NO_PROPERTIES = b"\x00\x00"


class LinkDown(Exception):
    """There is no connection to the broker: nothing was written."""


class WriteFailed(Exception):
    """The connection broke while writing: the broker may or may not have it."""


class _Stalled(Exception):
    """The broker did not take or give bytes in time."""


class Link:
    """Keeps one connection. ``on_open`` declares and consumes on it before anything is read.

    ``on_lost`` hears of every loss of an open connection. Neither may block on the broker outside ``on_open``.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        on_open: Callable[[Any], None],
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._url = url
        self._on_open = on_open
        self._on_lost = on_lost
        self._connection: Any = None
        self._closed = False
        self._is_renewing = False
        self._told: type[Exception] | None = None
        self._opened = Event()
        self._left = Event()
        self._writing = Semaphore()

    @property
    def is_open(self) -> bool:
        """Whether the broker is there and everything is declared."""
        return self._connection is not None

    def wait_for_first(self, seconds: float) -> bool:
        """Wait until it has been open once, so long at most; gives whether it is open now."""
        if not self._opened.ready():
            with Timeout(seconds, exception=False):
                self._opened.wait()
        return self.is_open

    def run(self) -> None:
        """Connect, read and connect again until :meth:`close`. Never raises but when killed."""
        attempt = 0
        while not self._closed:
            try:
                connection = self._connect()
                attempt = 0
                self._read(connection)
            except GreenletExit:
                raise
            except Exception as fault:  # noqa: BLE001  # whatever it was, the cure is a new connection
                self._tell(fault)
            if self._is_renewing:  # nobody is away
                self._is_renewing = False
            elif not self._closed:
                sleep(_pause(attempt))
                attempt += 1
        self._left.send(None)

    def write(self, frames: Callable[[], Any]) -> None:
        """Run ``frames``, which writes to this link's connection: what it writes leaves together, in one go.

        Raises :class:`LinkDown` before anything was written, :class:`WriteFailed` when that is not known.
        """
        connection, writing = self._connection, self._writing
        if connection is None:
            raise LinkDown(self.name)
        try:
            with Timeout(WRITE_SECONDS, _Stalled("the broker takes no bytes")), writing:
                if self._connection is not connection:
                    raise LinkDown(self.name)  # noqa: TRY301  # it was lost while others wrote
                _write_together(connection.transport, frames)
        except LinkDown:
            raise
        except Exception as fault:
            if self._connection is connection:
                self.drop()
            raise WriteFailed(str(fault)) from fault

    def drop(self) -> None:
        """Hang up at once; :meth:`run` will close the socket, and connect again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        _hang_up(connection)
        self._on_lost()

    def renew(self) -> None:
        """Drop a connection of which nothing is wrong, for one on which nothing is due; :meth:`run` opens it now."""
        if self._connection is not None:
            self._is_renewing = True
            self.drop()

    def close(self) -> None:
        """Leave for good, once the broker says that it has done all that was written; in vain it waits for seconds.

        When a socket just closes, RabbitMQ kills the channels with what they have not got round to yet: an answer
        that was written in time is lost, while the acknowledgement on another channel may count.
        """
        self._closed = True
        if self._connection is not None:
            with contextlib.suppress(LinkDown, WriteFailed), Timeout(LEAVING_SECONDS, exception=False):
                self.write(self._say_goodbye)
                self._left.wait()
        self.drop()

    def _say_goodbye(self) -> None:
        """Writes and nothing else, for :meth:`run` reads: that the broker says it, too, is how the connection ends."""
        self._connection.send_method(spec.Connection.Close, CLOSE_SIGNATURE, (CLOSE_CODE, "", 0, 0))

    def _tell(self, fault: Exception) -> None:
        """Once per outage and kind of fault, not once per attempt."""
        if not (self._closed or self._is_renewing) and type(fault) is not self._told:
            self._told = type(fault)
            log.warning("broker.away", link=self.name, reason=f"{type(fault).__name__}: {fault}"[:300])

    def _connect(self) -> Any:
        parameters: Any = Connection(  # type: ignore[no-untyped-call]  # kombu carries few types
            self._url,
            heartbeat=HEARTBEAT_SECONDS,
            connect_timeout=CONNECT_SECONDS,
            transport_options={
                "frame_handler": partial(forgiving_frame_handler, instead=lambda _: NO_PROPERTIES),
                "client_properties": {"connection_name": self.name},
            },
        )
        with Timeout(OPENING_SECONDS, _Stalled("the broker does not answer")):
            connection = parameters.transport.establish_connection()
            try:
                self._on_open(connection)
            except BaseException:
                _abandon(connection)
                raise
        self._take(connection)
        return connection

    def _take(self, connection: Any) -> None:
        self._connection, self._writing = connection, Semaphore()  # who still writes to a lost one holds nobody up
        self._told = None
        log.info("broker.connected", link=self.name)
        if not self._opened.ready():
            self._opened.send(None)

    def _read(self, connection: Any) -> None:
        try:
            self._read_on(connection)
        finally:
            self.drop()
            _abandon(connection)

    def _read_on(self, connection: Any) -> None:
        beat_at = time.monotonic() + 1
        while self._connection is connection:
            with contextlib.suppress(TimeoutError):
                connection.drain_events(timeout=1.0)
            if time.monotonic() >= beat_at:
                self.write(connection.heartbeat_tick)
                beat_at = time.monotonic() + 1


def _write_together(transport: Any, frames: Callable[[], Any]) -> None:
    """An answer and its acknowledgement apart would be two system calls here, and wake the broker twice."""
    gathered: list[bytes] = []
    write = transport._write  # noqa: SLF001  # py-amqp has no other place between its framing and the socket
    transport._write = lambda part: gathered.append(bytes(part))  # noqa: SLF001
    try:
        frames()
    finally:
        transport._write = write  # noqa: SLF001
    if gathered:
        transport.write(b"".join(gathered))


def _hang_up(connection: Any) -> None:
    """Whoever reads from the socket is woken by its end, and closes it.

    Closed by anybody else, the reader would sleep on, listening at a number that may be another socket's by then.
    By a copy of it, for a TLS socket that is told to shut down forgets how to be closed.
    """
    try:
        transport = connection._transport  # noqa: SLF001  # asked for by its other name, one that is closed connects anew
        with socket.socket(fileno=os.dup(transport.sock.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
    except Exception as fault:  # noqa: BLE001  # it has ended by itself
        log.debug("broker.hung_up_before", reason=str(fault))


def _abandon(connection: Any) -> None:
    """Close the socket without a word; py-amqp's polite close would wait for an answer that we are reading."""
    try:
        connection.collect()
    except Exception as fault:  # noqa: BLE001  # a socket that will not close must not stop the healing
        log.debug("broker.abandoned", reason=str(fault))


def _pause(attempt: int) -> float:
    longest = min(LONGEST_PAUSE_SECONDS, 0.1 * 2 ** min(attempt, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311  # jitter, not a secret
