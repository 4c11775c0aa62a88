"""Knows who listens to the services that are called: a call to nobody fails at once, instead of at its deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol

import structlog
from eventlet import Timeout, sleep
from eventlet.event import Event

from shared.contracts.exchanges import calls_queue
from shared.resilience.backoff import full_jitter
from shared.resilience.presence import Presence

log = structlog.get_logger()

LATELY_SECONDS = 60.0
FIRST_LOOK_SECONDS = 0.25
"""So long, at most, a call waits until its service is looked at, when that has not been called lately."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class Sight(Protocol):
    """A view of the broker's queues, until a look at them fails."""

    def consumers(self, queue: str) -> int:
        """How many there are now; none, too, where there is no queue. Raises whatever says that nobody knows."""

    def leave(self) -> None:
        """Look no more. Never raises."""


class Listeners:
    """Looks every second (four times a second while one is absent) at the services that were called in the last minute.

    ``see`` gives a view of the broker or raises; while nobody calls there is none. ``on_absence`` hears of a service
    to which nobody listens, ``on_return`` when one is first seen or has come back, and when nobody knows any more.
    """

    def __init__(
        self,
        see: Callable[[], Sight],
        *,
        on_absence: Callable[[str], None],
        on_return: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._see = see
        self._presence = Presence(on_absence=on_absence, on_return=on_return)
        self._clock = clock
        self._dice = random.SystemRandom()
        self._called_at: dict[str, float] = {}
        self._first_looks: dict[str, Event] = {}
        self._is_blind = False
        self._wanted = Event()
        self.sees: bool | None = None
        """Whether the last look was one; ``None`` while nobody calls, for then nobody looks either."""

    def heed(self, service: str, *, patience: float) -> None:
        """The service is about to be called: keep it in view.

        Waits for the first look, for :data:`FIRST_LOOK_SECONDS` or ``patience`` at most, unless there can be none.
        """
        self._called_at[service] = self._clock()
        if service in self._presence.seen:
            return
        if not self._wanted.ready():
            self._wanted.send(None)
        if not self._is_blind:
            with Timeout(max(0.0, min(FIRST_LOOK_SECONDS, patience)), exception=False):
                self._first_looks.setdefault(service, Event()).wait()

    def run(self) -> None:
        """Look for ever. Never raises but when killed."""
        attempt = 0
        while True:
            while not self._lately_called():
                self.sees = None
                self._rest(None)
            try:
                self._look_while_called()
                attempt = 0
            except Exception as fault:  # noqa: BLE001  # whatever it was, the cure is a new view
                attempt = attempt + 1 if self._is_blind else 0
                self._go_blind(fault)
                sleep(full_jitter(attempt, first=FIRST_PAUSE, cap=LONGEST_PAUSE, dice=self._dice))

    def _look_while_called(self) -> None:
        sight = self._see()
        try:
            while services := self._lately_called():
                for service in services:
                    self._note(service, sight.consumers(calls_queue(service)))
                self._is_blind, self.sees = False, True
                self._rest(self._presence.pause)
        finally:
            sight.leave()

    def _lately_called(self) -> list[str]:
        """Those, in no order. All others are out of view from now on."""
        since = self._clock() - LATELY_SECONDS
        for service in [service for service, called_at in self._called_at.items() if called_at < since]:
            del self._called_at[service]
            self._presence.forget(service)
        return list(self._called_at)

    def _note(self, service: str, consumers: int) -> None:
        self._presence.note(service, consumers)
        self._end_first_look(service)

    def _go_blind(self, fault: Exception) -> None:
        """Tell it once per outage. What was seen counts no more, and nobody waits for a look."""
        if not self._is_blind:
            log.warning("rpc.consumers.unseen", reason=f"{type(fault).__name__}: {fault}"[:300])
        self._is_blind, self.sees = True, False
        for service in list(self._called_at):
            self._presence.forget(service)
            self._end_first_look(service)

    def _end_first_look(self, service: str) -> None:
        first = self._first_looks.pop(service, None)
        if first is not None:
            first.send(None)

    def _rest(self, seconds: float | None) -> None:
        """Until a service is called that is out of view; so long at most."""
        with Timeout(seconds, exception=False):
            self._wanted.wait()
        self._wanted = Event()
