"""Events on their way to the broker: which of them leave together, as which messages, and what became of each."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from amqp.basic_message import Message

from shared.contracts import headers
from shared.contracts.events import EVENT_TYPES
from shared.nameko_ext import wire
from shared.nameko_ext.broker import PERSISTENT
from shared.nameko_ext.publishing import CONFIRMED, NACKED, SILENT, UNROUTABLE
from shared.values.times import to_rfc3339

log = structlog.get_logger()

MUST_BE_HEARD = frozenset((event.service, event.name) for event in EVENT_TYPES if event.must_be_heard)


@dataclass(slots=True)
class Told:
    """What the broker said of the events of a batch.

    ``refused`` is its own no; silence says something of a queue, or of the broker, and a lost link nothing.
    """

    taken: list[Any] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    silent: list[Any] = field(default_factory=list)
    lost: list[Any] = field(default_factory=list)

    def add(self, row: Any, fate: str) -> None:
        """One more is known."""
        said = {CONFIRMED: self.taken, NACKED: self.refused, UNROUTABLE: self.refused, SILENT: self.silent}
        said.get(fate, self.lost).append(row)

    @property
    def is_complete(self) -> bool:
        """Whether all that was sent is known; nothing is sent before that."""
        return not (self.silent or self.lost)

    def without_followers(self, wave: Iterable[Any]) -> list[Any]:
        """Those of the wave that follow no refused event of their aggregate."""
        stuck = {row.aggregate_id for row in self.refused}
        return [row for row in wave if row.aggregate_id not in stuck]


def types_of(rows: Iterable[Any]) -> frozenset[str]:
    """The kinds of events that these are."""
    return frozenset(row.type for row in rows)


def in_waves(rows: Iterable[Any], *, doubted: Collection[str] = ()) -> list[list[Any]]:
    """First the oldest event of each aggregate, then the second of each that has one, and so on.

    None is then sent before those that go before it have arrived, and those that have no order leave together.
    Of each ``doubted`` type one leaves at the end, alone, and what comes after those of them in their aggregates waits
    for another batch. So a queue that says nothing keeps no other waiting, nor gets a batch twice that it had taken.
    """
    waves: list[list[Any]] = []
    seen: Counter[str] = Counter()
    stuck: set[str] = set()
    tried: dict[str, Any] = {}
    for row in rows:
        if row.type in doubted and row.aggregate_id not in stuck:
            stuck.add(row.aggregate_id)
            tried.setdefault(row.type, row)
        if row.aggregate_id in stuck:
            continue
        if seen[row.aggregate_id] == len(waves):
            waves.append([])
        waves[seen[row.aggregate_id]].append(row)
        seen[row.aggregate_id] += 1
    return waves + [[row] for row in tried.values()]


def message_for(row: Any, trace: Mapping[str, str | None]) -> Message:
    """The event as it travels: the envelope as JSON, persistent, its id as the message's id, and its trace."""
    envelope = {
        "event_id": row.event_id,
        "type": row.type,
        "version": row.version,
        "occurred_at": to_rfc3339(row.occurred_at),
        "aggregate_id": row.aggregate_id,
        "sequence": row.sequence,
        "request_id": row.request_id,
        "data": row.data,
    }
    context = {
        headers.REQUEST_ID: row.request_id,
        **trace,
        headers.CALL_ID_STACK: [f"{row.service}.outbox.{row.event_id}"],
    }
    return Message(
        orjson.dumps(envelope),
        content_type=wire.CONTENT_TYPE,
        content_encoding="utf-8",
        delivery_mode=PERSISTENT,
        message_id=row.event_id,
        application_headers=headers.on_the_wire({name: value or None for name, value in context.items()}),
    )


def fate_of(row: Any, said: str) -> str:
    """Confirmed when all who listen have it; that nobody does is fine unless the event must be heard."""
    if said != UNROUTABLE:
        return said
    is_awaited = (row.service, row.type) in MUST_BE_HEARD
    log.log(logging.WARNING if is_awaited else logging.DEBUG, "outbox.nobody_listens", type=row.type)
    return UNROUTABLE if is_awaited else CONFIRMED
