"""What the connections of one worker share: how many there may be, and which must go when there are too many."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass, field
from heapq import nsmallest
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from edge.framing import Header

log = structlog.get_logger()

MOST_CONNECTIONS = 4000
"""Per worker: at some 15 kB each while they wait, 60 MB."""

MODEST = 100
"""An address that holds no more connections than this is not greedy: many customers may share one."""

YOUNG_SECONDS = 1.0
"""Who has waited for less may be about to send: they go last."""

PART = 200
"""Of all places, one in so many is cleared at once: a look at 4,000 connections takes 2 ms, and so does ending 20."""

QUIET_SECONDS = 60.0
IPV6_SITE = 64


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
    """One per worker. ``is_draining`` ends every connection with its next answer.

    ``cut`` counts connections that were ended or turned away for room (``full``), those whose request never became
    whole (``late``), and those whose answers nobody read (``unread``).
    """

    most: int = MOST_CONNECTIONS
    is_draining: bool = False
    requests: int = 0
    open_connections: int = 0
    cut: Counter[str] = field(default_factory=lambda: Counter({"full": 0, "late": 0, "unread": 0}))
    doorkeeper: Doorkeeper | None = None
    _told_at: float = -QUIET_SECONDS

    def make_room(self, guests: Collection[Guest]) -> bool:
        """End some connections whose clients are slow. False when every client waits for us, not we for it."""
        now = monotonic()
        leaving = those_who_leave(guests, max(1, len(guests) // PART), now)
        for guest in leaving:
            guest.leave()
        self.cut["full"] += max(1, len(leaving))
        if now - self._told_at >= QUIET_SECONDS:
            log.warning("edge.connections.full", most=self.most, ended=len(leaving))
            self._told_at = now
        return bool(leaving)


def reception_of(app: Any) -> Reception:
    """The one that all connections of ``app`` share."""
    reception: Reception | None = getattr(app.ctx, "reception", None)
    if reception is None:
        reception = app.ctx.reception = Reception()
    return reception


def those_who_leave(guests: Iterable[Guest], count: int, now: float) -> list[Guest]:
    """Of those we wait for: first who has had the time, of these who holds most places, of these who waits longest.

    Behind a proxy all have one address, and the one we have waited for longest goes.
    """
    held = Counter(guest.holder for guest in guests)
    waiting = [(guest, since) for guest in guests if (since := guest.waits_since) is not None]

    def rank(pair: tuple[Guest, float]) -> tuple[bool, int, float]:
        guest, since = pair
        return now - since < YOUNG_SECONDS, -max(MODEST, held[guest.holder]), since

    return [guest for guest, _ in nsmallest(count, waiting, key=rank)]


def holder_of(address: str) -> str:
    """Who counts as one: an IPv4 address, or the 64 bits of an IPv6 one that a site is given."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], IPV6_SITE), strict=False))
    except ValueError:
        return address
