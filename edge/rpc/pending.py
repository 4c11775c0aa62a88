"""Calls that wait for their answer, found again by correlation id; bounded, and emptied when the link breaks."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import structlog

from edge.rpc.failures import NotExecuted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiormq.abc import DeliveredMessage

log = structlog.get_logger()


class Pending:
    """Correlation ids come from a counter: unique within this process, and the reply queue is ours alone."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._ids = count(1)
        self._waiting: dict[str, asyncio.Future[DeliveredMessage]] = {}
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def place(self) -> Iterator[tuple[str, asyncio.Future[DeliveredMessage]]]:
        """A new correlation id and the future of its answer, forgotten however the block ends.

        Raises ``NotExecuted`` when too many calls wait already.
        """
        if len(self._waiting) >= self._limit:
            raise NotExecuted("too many calls are waiting for answers")
        correlation_id = str(next(self._ids))
        answer: asyncio.Future[DeliveredMessage] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = answer
        try:
            yield correlation_id, answer
        finally:
            self._waiting.pop(correlation_id, None)
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # seen: an answer that failed after its caller did must not be reported again

    def resolve(self, message: DeliveredMessage) -> None:
        """Hand an answer to whom it belongs; late, repeated and unknown ones are dropped and counted."""
        correlation_id = message.header.properties.correlation_id or ""
        answer = self._waiting.pop(correlation_id, None)
        if answer is None or answer.done():
            self.counts["unclaimed"] += 1
            log.debug("rpc.reply.unclaimed", correlation_id=correlation_id)
            return
        answer.set_result(message)

    def fail_all(self, failure: Exception) -> None:
        """The link is gone: nobody's answer will come."""
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(failure)
