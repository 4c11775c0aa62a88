"""One operator's turn at a broker: two connections, the lock, and what to say when something is in the way.

Who looks at parked messages holds them all, and another would see an empty queue. So there is a lock: an exclusive
queue, as it goes when its holder's connection does, however that ends; and so does everything that was held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import AccessRefused, AMQPError, InvalidPath, NotAllowed, ResourceLocked
from kombu import connection as kombu_connection

from kirana.parking.frames import forgiving_frame_handler
from kirana.stack.faults import Busy, NotRunning, StackFault

_Connection: Any = kombu_connection.Connection  # kombu is typed in parts only

LOCK = "kirana.parking.operator"
PATIENCE_SECONDS = 15.0
CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
HEARTBEAT_SECONDS = 30


@dataclass(frozen=True)
class Address:
    """Where the broker is, and what to do when it is not there."""

    url: str
    mend: str


class Turn:
    """Connections that nobody else's command has at the same time. ``reading`` holds messages, ``sending`` sends.

    They are two, so that a body that is slow to arrive holds up no confirmation.
    """

    def __init__(self, address: Address, *, patience: float, on_wait: Callable[[], None]) -> None:
        self._address = address
        self._patience = patience
        self._on_wait = on_wait
        self._connections: list[Any] = []

    def begin(self) -> None:
        """Connect and take the lock. Raises :class:`NotRunning`, :class:`Busy`, :class:`StackFault`."""
        with self.told():
            try:
                self.reading = self._connect()
                self._lock()
                self.sending = self._connect(confirm_publish=True)
            except BaseException:
                self.end(politely=False)
                raise

    def _lock(self) -> None:
        give_up_at = time.monotonic() + self._patience
        waited = False
        while not self._locked():
            if time.monotonic() > give_up_at:
                raise Busy("Somebody else is at the parked messages of this broker.", mend="wait for them to finish")
            if not waited:
                self._on_wait()
            waited = True
            time.sleep(0.1)

    def _locked(self) -> bool:
        channel = self.reading.channel()
        try:
            channel.queue_declare(LOCK, exclusive=True, durable=False, auto_delete=True)
        except ResourceLocked:
            return False
        return True

    def _connect(self, **more: Any) -> Any:
        parameters = _Connection(
            self._address.url,
            heartbeat=HEARTBEAT_SECONDS,
            connect_timeout=CONNECT_SECONDS,
            transport_options={
                "frame_handler": forgiving_frame_handler,
                "client_properties": {"connection_name": "kirana events"},
                "read_timeout": ANSWER_SECONDS,
                "write_timeout": ANSWER_SECONDS,
                **more,
            },
        )
        connection = parameters.transport.establish_connection()
        self._connections.append(connection)
        return connection

    def end(self, *, politely: bool) -> None:
        """Let go of everything; politely means to wait for the broker, which whoever pressed Ctrl-C does not want."""
        while self._connections:
            connection = self._connections.pop()
            with suppress(OSError, AMQPError):
                if politely:
                    connection.close()
            with suppress(OSError, AMQPError):
                connection.collect()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say what the broker said in words that lead somewhere."""
        try:
            yield
        except (AccessRefused, NotAllowed, InvalidPath) as fault:
            raise StackFault(f"The broker refuses: {fault.reply_text or fault}", mend=self._address.mend) from None
        except (OSError, AMQPError) as fault:
            said = f"{type(fault).__name__}: {fault}" if not str(fault).strip() else str(fault)
            raise NotRunning(f"The broker cannot be reached: {said}", mend=self._address.mend) from None
