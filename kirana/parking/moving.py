"""Looks at what is parked, puts it back to where it failed, or throws it away."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from kirana.parking.choosing import count_by_service
from kirana.parking.ledger import Ledger
from kirana.parking.lot import Lot, NotTaken
from kirana.parking.message import Parked, Summary
from kirana.parking.replaying import again, obstacle
from shared.values.times import Clock

Advance = Callable[[int], None]


@dataclass
class Moved:
    """What became of each message that was meant. ``stayed`` has the reasons; ``gone`` was taken by somebody else."""

    done: list[Summary] = field(default_factory=list)
    stayed: list[tuple[Summary, str]] = field(default_factory=list)
    gone: list[Summary] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether all went."""
        return not self.stayed and not self.gone


def look(lot: Lot, services: Iterable[str], *, full: Callable[[Parked], None] = lambda _: None) -> list[Summary]:
    """All that is parked, oldest first for each service. ``full`` sees each message whole; none is kept in memory."""
    found: list[Summary] = []

    def note(parked: Parked) -> bool:
        found.append(parked.summary)
        full(parked)
        return False

    for service in services:
        lot.visit(service, note)
    return found


def replay(lot: Lot, chosen: Sequence[Summary], clock: Clock, advance: Advance) -> Moved:
    """Give each event to its handler's queue. It is safe there before it is removed here: it may double, never go."""

    def put_back(parked: Parked) -> str:
        reason = obstacle(parked, int(clock().timestamp() * 1000))
        if not reason:
            try:
                lot.deliver(again(parked), parked.summary.origin)
            except NotTaken as fault:
                return str(fault)
        return reason

    return _move(lot, chosen, put_back, advance)


def drop(lot: Lot, chosen: Sequence[Summary], ledger: Ledger, clock: Clock, advance: Advance) -> Moved:
    """Write each message into the ledger, then remove it for good."""

    def throw_away(parked: Parked) -> str:
        ledger.write(parked, clock())
        return ""

    return _move(lot, chosen, throw_away, advance)


def _move(lot: Lot, chosen: Sequence[Summary], act: Callable[[Parked], str], advance: Advance) -> Moved:
    moved = Moved()
    wanted = {each.id for each in chosen}
    seen: set[str] = set()

    def one(parked: Parked) -> bool:
        if parked.summary.id not in wanted:
            return False
        seen.add(parked.summary.id)
        reason = act(parked)
        if reason:
            moved.stayed.append((parked.summary, reason))
        else:
            moved.done.append(parked.summary)
        advance(1)
        return not reason

    for service in count_by_service(chosen):
        lot.visit(service, one)
    moved.gone = _not_in(seen, chosen)
    return moved


def _not_in(seen: Collection[str], chosen: Sequence[Summary]) -> list[Summary]:
    return [each for each in chosen if each.id not in seen]
