"""Has an instance take work or not, as the operator's wish in Consul says; what it has begun it always finishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import eventlet
import structlog

from shared.contracts.maintenance import Maintenance
from shared.nameko_ext.consuming import Consumer
from shared.nameko_ext.events import EventDoor
from shared.nameko_ext.requests import Requests

log = structlog.get_logger()

PERIOD_SECONDS = 1.0
"""An instance with a share takes work for that part of each such period."""


class Attendance:
    """One per process. Clocks and the relay of events go on: they are made to be stopped at any moment."""

    def __init__(self, container: Any, *, on_change: Callable[[], None] = lambda: None) -> None:
        self._container = container
        self._on_change = on_change
        self._turn: Any = None
        self.wish: Maintenance | None = None

    def follow(self, wish: Maintenance | None) -> None:
        """Do as is wished from now on. The same wish again changes nothing."""
        if wish == self.wish:
            return
        before, self.wish = self.wish, wish
        log.info("service.maintenance", wish=_spoken(wish), before=_spoken(before), by=wish.by if wish else "")
        if self._turn is not None:
            self._turn.kill()
        self._turn = eventlet.spawn(self._take_turns, wish.share) if wish and 0 < wish.share < 1 else None
        if self._turn is None:
            self._attend(is_wanted=wish is None or not wish.is_out)
        self._on_change()

    @property
    def note(self) -> str:
        """What Consul is told while the instance is out; empty while it is not."""
        if self.wish is None or not self.wish.is_out:
            return ""
        return f"maintenance: {self.wish.reason or 'no reason given'}; {self._container.unfinished} under way"

    def _take_turns(self, share: float) -> None:
        while True:
            self._attend(is_wanted=True)
            eventlet.sleep(share * PERIOD_SECONDS)
            self._attend(is_wanted=False)
            eventlet.sleep((1 - share) * PERIOD_SECONDS)

    def _attend(self, *, is_wanted: bool) -> None:
        for consumer in self._consumers():
            if is_wanted:
                consumer.resume()
            else:
                consumer.pause()

    def _consumers(self) -> Iterator[Consumer]:
        requests = self._container.shared_extensions.get(Requests)
        if requests is not None:
            yield requests.consumer
        for entrypoint in self._container.entrypoints:
            if isinstance(entrypoint, EventDoor):
                yield entrypoint.consumer


def _spoken(wish: Maintenance | None) -> str:
    if wish is None:
        return "in"
    return "out" if wish.is_out else f"share {wish.share:g}"
