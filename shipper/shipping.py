"""The shipper at work: one thread reads and keeps the books, a few send.

A batch that is full goes at once; a smaller one goes when half a second has passed since the last.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from datetime import datetime
from typing import Final, NamedTuple

import structlog

from shipper.batch import Batch, Bookkeeping, gather
from shipper.delivery import Delivery, Fate
from shipper.folder import Folder
from shipper.metering import Meters
from shipper.tail import Tail

log = structlog.get_logger()

POLL_SECONDS: Final = 0.5
DRAIN_POLL_SECONDS: Final = 0.02
LOOK_SECONDS: Final = 0.5
COMMIT_SECONDS: Final = 0.2

_TIME = re.compile(rb'"@timestamp":"([^"]{20,35})"')


class Answer(NamedTuple):
    """What a sender brings back; ``fates`` is ``None`` for what was abandoned."""

    batch: Batch
    fates: list[Fate] | None


class SenderFailed(Exception):
    """A fault of ours. The process ends by it, and its successor sends the lines again."""


class Shipper:
    """Runs until :meth:`stop`, then for ``drain_seconds`` at most, until all that was written by then is settled."""

    def __init__(
        self, folder: Folder, books: Bookkeeping, meters: Meters, *, in_flight: int, drain_seconds: float
    ) -> None:
        self._folder = folder
        self._books = books
        self._meters = meters
        self._most = in_flight
        self._drain_seconds = drain_seconds
        self._todo: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._under_way = 0
        self._look_at = self._commit_at = self._gather_at = 0.0
        self._stops_at: float | None = None
        self._has_looked_last = False

    def stop(self) -> None:
        """Drain and end; may be called by a signal handler."""
        if self._stops_at is None:
            self._stops_at = time.monotonic() + self._drain_seconds
            self._look_at = 0.0
        self._done.put(None)

    def run(self, delivery: Delivery) -> None:
        """Ship. Raises ``OSError`` when the spool or its books cannot be read or written."""
        for _ in range(self._most):
            threading.Thread(target=self._send, args=(delivery,), name="send", daemon=True).start()
        self._folder.look()
        self._folder.forget_vanished()
        while not self._is_over():
            self._keep_up()
            self._take_in(self._gather_and_submit())
        self._folder.settle()
        self._books.commit()

    def _is_over(self) -> bool:
        if self._stops_at is None:
            return False
        left = self._under_way or any(tail.unread > 0 for tail in self._folder.tails)
        return (self._has_looked_last and not left) or time.monotonic() >= self._stops_at

    def _keep_up(self) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._has_looked_last = self._stops_at is not None
            self._folder.look()
            self._tell()
        if now >= self._commit_at:
            self._commit_at = now + COMMIT_SECONDS
            self._folder.settle()
            self._books.commit()

    def _gather_and_submit(self) -> float:
        """Send what there is, if it is time; answers for how many seconds there is nothing more to gather."""
        if self._under_way >= self._most:
            return POLL_SECONDS
        now = time.monotonic()
        if now < self._gather_at and self._stops_at is None:
            return self._gather_at - now
        batch = gather(self._folder)
        if batch.records:
            self._under_way += 1
            self._todo.put(batch)
        elif batch.broken:
            self._books.settle(batch, [])
        if batch.is_full:
            return 0.0
        self._gather_at = now + POLL_SECONDS  # many small requests would cost Elasticsearch more than they bring
        return DRAIN_POLL_SECONDS if self._stops_at is not None else POLL_SECONDS

    def _take_in(self, seconds: float) -> None:
        """Book every answer that there is, having waited for one for so long at most."""
        try:
            answer = self._done.get(timeout=seconds) if seconds > 0 else self._done.get_nowait()
            while True:
                if answer is not None:
                    self._under_way -= 1
                    self._book(answer)
                answer = self._done.get_nowait()
        except queue.Empty:
            return

    def _book(self, answer: Answer) -> None:
        if answer.fates is not None:
            self._books.settle(answer.batch, answer.fates)
        elif self._stops_at is None:
            raise SenderFailed("a sender has failed; its lines are still on the disk")

    def _send(self, delivery: Delivery) -> None:
        while True:
            batch = self._todo.get()
            fates = None
            try:
                fates = delivery.deliver(batch.records)
            except Exception:
                log.exception("shipping.sender_failed")
            self._done.put(Answer(batch, fates))

    def _tell(self) -> None:
        unsettled = [tail for tail in self._folder.tails if tail.unsettled > 0]
        self._meters.stands(
            backlog=sum(tail.unsettled for tail in unsettled),
            held=self._folder.held_bytes,
            oldest=max((_age(tail) for tail in unsettled), default=0.0),
            in_flight=self._under_way,
        )


def _age(tail: Tail) -> float:
    found = _TIME.search(tail.peek())
    if found is None:
        return 0.0
    try:
        return max(0.0, time.time() - datetime.fromisoformat(found[1].decode("ascii")).timestamp())
    except ValueError:
        return 0.0
