"""Finds the parked messages that an operator means, by the first digits of an id as people type them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kirana.parking.message import Summary
from kirana.stack.faults import StackFault
from shared.contracts.parked import call_parking_queue

SHORTEST = 8
SHORTEST_TYPED = 4
_SHOWN_CANDIDATES = 3
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_QUEUE = 255  # in AMQP


@dataclass(frozen=True)
class Choice:
    """What was asked for. Ids and queue narrow each other; without either it is everything that was looked at."""

    ids: Sequence[str] = ()
    origin: str | None = None

    def of(self, parked: Iterable[Summary]) -> list[Summary]:
        """Those that are meant. Raises :class:`StackFault` for an id that no message, or more than one, has."""
        candidates = [each for each in parked if self.origin in {None, each.origin}]
        if not self.ids:
            return candidates
        wanted = {self._one(typed, candidates) for typed in self.ids}
        return [each for each in candidates if each.id in wanted]

    def _one(self, typed: str, candidates: Sequence[Summary]) -> str:
        found = sorted({each.id for each in candidates if _is_meant(typed, each)})
        if len(found) == 1:
            return found[0]
        if not found:
            raise StackFault(f"No parked message has the id {typed!r}.", mend="kirana events parked")
        named = ", ".join(id_[: SHORTEST + 4] for id_ in found[:_SHOWN_CANDIDATES])
        raise StackFault(f"{typed!r} means {len(found)} messages ({named}): type more of it.")


def is_name(service: str) -> bool:
    """Whether a service can be called so: without a dot, as that ends its name in routing keys and queues."""
    return bool(_NAME.fullmatch(service)) and len(call_parking_queue(service)) <= _LONGEST_QUEUE


def short_ids(parked: Sequence[Summary]) -> Mapping[str, str]:
    """For each id as few digits as tell it from the others."""
    ids = dict.fromkeys(each.id for each in parked)
    length = SHORTEST
    while len({id_[:length] for id_ in ids}) < len(ids):
        length += 1
    return {id_: id_[:length] for id_ in ids}


def count_by_service(parked: Iterable[Summary]) -> dict[str, int]:
    """How many each service has, for the services that have any."""
    return dict(Counter(each.service for each in parked))


def _is_meant(typed: str, summary: Summary) -> bool:
    by_digits = len(typed) >= SHORTEST_TYPED and summary.id.startswith(typed.lower())
    return by_digits or typed == summary.message_id
