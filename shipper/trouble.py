"""Says once that Elasticsearch does not take lines, and once that it does again, instead of at every try."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from shipper.metering import Meters

log = structlog.get_logger()

REMIND_SECONDS: Final = 300.0


class Trouble:
    """What the senders tell. What goes on is said again every five minutes."""

    def __init__(self, meters: Meters, clock: Callable[[], float] = time.monotonic) -> None:
        self._meters = meters
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._said: tuple[str, float] = ("", 0.0)

    def sent(self, seconds: float) -> None:
        """A request was answered."""
        self._meters.request_seconds(seconds)

    def again(self, word: str, records: int) -> None:
        """So many records are tried again."""
        self._meters.again(word, records)

    def went_wrong(self, word: str, sentence: str) -> None:
        """A request has failed as a whole."""
        now = self._clock()
        with self._lock:
            said, at = self._said
            is_news = word != said or now - at >= REMIND_SECONDS
            if self._since is None:
                self._since = now
            if is_news:
                self._said = (word, now)
        if is_news:
            log.warning("shipping.failing", why=word, reason=sentence)

    def went_well(self) -> None:
        """Something was delivered."""
        self._meters.succeeded()
        with self._lock:
            since, self._since, self._said = self._since, None, ("", 0.0)
        if since is not None:
            log.info("shipping.recovered", after_seconds=round(self._clock() - since, 1))
