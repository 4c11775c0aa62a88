"""What the connections of one worker share: how many there may be, and which must go when there are too many."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from heapq import nsmallest
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge.framing import Header

log = structlog.get_logger()

MOST_CONNECTIONS = 4000
"""Per worker: at some 15 kB each while they wait, 60 MB."""

MODEST = 100
"""An address that holds no more connections than this is not greedy: many customers may share one."""

YOUNG_SECONDS = 1.0
"""Who has waited for less may be about to send: they go last."""

PART = 200
"""Of all places, one in so many is cleared at once: ending 20 takes 2 ms."""

CHOICE = 5
"""So many who could go are looked at for each who goes. To look at all 4,000 takes 2 ms, and ten times as long where
they have lain in memory untouched."""

QUIET_SECONDS = 60.0


class Guest(Protocol):
    """A connection, as far as its place is concerned."""

    holder: str

    @property
    def waits_since(self) -> float | None:
        """Since when (monotonic) the worker waits for this client; ``None`` while the client waits for the worker."""
        ...

    def leave(self) -> None:
        """Give up the place now."""
        ...

    def hurry(self) -> None:
        """From now on there is less time."""
        ...


class Doorkeeper(Protocol):
    """Whoever may answer a request as soon as its head was read."""

    @property
    def is_watched(self) -> bool:
        """Whether there is any use in asking."""
        ...

    def turn_away(self, method: str, target: str, header: Header) -> bytes | None:
        """The whole answer, or ``None`` to let the request in."""
        ...


@dataclass(slots=True)
class Reception:
    """One per worker.

    ``cut`` counts connections that were ended or turned away for room (``full``), those whose request never became
    whole (``late``), and those whose answers nobody read (``unread``).
    """

    most: int = MOST_CONNECTIONS
    is_draining: bool = False
    requests: int = 0
    cut: Counter[str] = field(default_factory=lambda: Counter({"full": 0, "late": 0, "unread": 0}))
    doorkeeper: Doorkeeper | None = None
    _guests: OrderedDict[Guest, None] = field(default_factory=OrderedDict)
    _held: dict[str, OrderedDict[Guest, None]] = field(default_factory=dict)
    _greedy: set[str] = field(default_factory=set)
    _told_at: float = -QUIET_SECONDS

    @property
    def open_connections(self) -> int:
        """How many have a place."""
        return len(self._guests)

    def welcome(self, guest: Guest) -> None:
        """It takes a place, whether or not there is one: ask :meth:`make_room` before."""
        self._guests[guest] = None
        held = self._held.setdefault(guest.holder, OrderedDict())
        held[guest] = None
        if len(held) > MODEST:
            self._greedy.add(guest.holder)

    def farewell(self, guest: Guest) -> None:
        """Its place is free; one that had none, or has left before, changes nothing."""
        if guest not in self._guests:
            return
        del self._guests[guest]
        held = self._held[guest.holder]
        del held[guest]
        if len(held) <= MODEST:
            self._greedy.discard(guest.holder)
        if not held:
            del self._held[guest.holder]

    def drain(self) -> None:
        """From now on every connection ends with its next answer, and nobody slow is waited for as long as usual."""
        self.is_draining = True
        for guest in list(self._guests):
            guest.hurry()

    def resume(self) -> None:
        """Connections may stay again."""
        self.is_draining = False

    def make_room(self) -> bool:
        """End some connections whose clients are slow. False when every client waits for us, not we for it."""
        now = monotonic()
        count = max(1, len(self._guests) // PART)
        leaving = those_who_leave(self._looked_at(count * CHOICE, now), count, now)
        for guest in leaving:
            self.farewell(guest)
            guest.leave()
        self.cut["full"] += max(1, len(leaving))
        if now - self._told_at >= QUIET_SECONDS:
            log.warning("edge.connections.full", most=self.most, ended=len(leaving))
            self._told_at = now
        return bool(leaving)

    def _looked_at(self, enough: int, now: float) -> list[tuple[Guest, float]]:
        """Some we wait for, and since when: of whoever holds most, if that is greedy and any of his had the time."""
        if self._greedy:
            greediest = max(self._greedy, key=lambda holder: len(self._held[holder]))
            waiting = _in_turn(self._held[greediest], enough, now)
            if any(now - since >= YOUNG_SECONDS for _, since in waiting):
                return waiting
        return _in_turn(self._guests, enough, now)


def reception_of(app: Any) -> Reception:
    """The one that all connections of ``app`` share."""
    reception: Reception | None = getattr(app.ctx, "reception", None)
    if reception is None:
        reception = app.ctx.reception = Reception()
    return reception


def _in_turn(guests: OrderedDict[Guest, None], enough: int, now: float) -> list[tuple[Guest, float]]:
    """Going round, until ``enough`` have had the time, or all were looked at."""
    waiting: list[tuple[Guest, float]] = []
    for _ in range(len(guests)):
        guest = next(iter(guests))
        guests.move_to_end(guest)
        since = guest.waits_since
        if since is not None:
            waiting.append((guest, since))
            enough -= now - since >= YOUNG_SECONDS
            if enough <= 0:
                break
    return waiting


def those_who_leave(waiting: Iterable[tuple[Guest, float]], count: int, now: float) -> list[Guest]:
    """Of those we wait for, and since when: first who has had the time, of these who waits longest."""

    def rank(pair: tuple[Guest, float]) -> tuple[bool, float]:
        return now - pair[1] < YOUNG_SECONDS, pair[1]

    return [guest for guest, _ in nsmallest(count, waiting, key=rank)]
