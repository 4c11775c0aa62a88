"""Brings one batch to Elasticsearch and stays with it until every record of it has a verdict."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable, Sequence
from random import SystemRandom
from typing import Any, Final, NamedTuple, Protocol

from elasticsearch import ApiError, Elasticsearch, TransportError

from shared.resilience.backoff import Dice, full_jitter
from shipper.elastic import WHAT_MATTERS
from shipper.records import Record
from shipper.verdicts import Kind, Verdict, is_too_large, of_fault, of_item

FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 30.0
_QUICKLY: Final = 1
"""gzip's level: logs shrink to an eighth by it, and to a tenth by the slowest, which takes ten times as long."""


class Watcher(Protocol):
    """Is told how it goes, from several threads."""

    def sent(self, seconds: float) -> None:
        """A request was answered."""
        ...

    def again(self, word: str, records: int) -> None:
        """So many records are tried again."""
        ...

    def went_wrong(self, word: str, sentence: str) -> None:
        """A whole request has failed."""
        ...

    def went_well(self) -> None:
        """Something was delivered."""
        ...


class Fate(NamedTuple):
    """What became of a record that needs no further try."""

    record: Record
    verdict: Verdict


class Delivery:
    """Sends for any number of threads. ``abandon`` ends all waiting; what has no verdict then is left over."""

    def __init__(
        self, client: Elasticsearch, watcher: Watcher, *, abandon: threading.Event, dice: Dice | None = None
    ) -> None:
        self._client = client.options(headers={"content-encoding": "gzip", "accept-encoding": "gzip"})
        self._watcher = watcher
        self._abandon = abandon
        self._dice = dice or SystemRandom()

    def deliver(self, records: Sequence[Record]) -> list[Fate] | None:
        """What became of each, in any order; ``None`` when it was abandoned before all had a verdict."""
        waiting, attempt = list(records), 0
        settled: list[Fate] = []
        while waiting:
            before = len(waiting)
            waiting = self._try(waiting, settled)
            attempt = 0 if len(waiting) < before else attempt + 1
            if waiting and self._abandon.wait(self._pause(attempt)):
                return None
        return settled

    def _pause(self, attempt: int) -> float:
        return full_jitter(attempt, first=FIRST_WAIT_SECONDS, cap=LONGEST_WAIT_SECONDS, dice=self._dice)

    def _try(self, records: list[Record], settled: list[Fate]) -> list[Record]:
        """Ask once; gives those that are to be asked for again."""
        try:
            verdicts = self._ask(records)
        except (ApiError, TransportError) as fault:
            if is_too_large(fault):
                return self._in_halves(records, settled)
            word, sentence = of_fault(fault)
            self._watcher.went_wrong(word, sentence)
            self._watcher.again(word, len(records))
            return records
        return self._sort_out(records, verdicts, settled)

    def _ask(self, records: Sequence[Record]) -> list[Verdict]:
        body: Any = gzip.compress(b"".join(record.wire for record in records), _QUICKLY)
        answer = self._client.bulk(operations=body, filter_path=WHAT_MATTERS)
        self._watcher.sent(answer.meta.duration)
        items = answer.body.get("items") if isinstance(answer.body, dict) else None
        if not isinstance(items, list) or len(items) != len(records):
            return [of_item(None)] * len(records)
        return [of_item(item) for item in items]

    def _sort_out(self, records: list[Record], verdicts: Iterable[Verdict], settled: list[Fate]) -> list[Record]:
        again: dict[str, list[Record]] = {}
        before = len(settled)
        for record, verdict in zip(records, verdicts, strict=True):
            if verdict.kind is Kind.AGAIN:
                again.setdefault(verdict.reason, []).append(record)
            else:
                settled.append(Fate(record, verdict))
        for word, some in again.items():
            self._watcher.again(word, len(some))
        if len(settled) > before:
            self._watcher.went_well()
        elif again:
            self._watcher.went_wrong(next(iter(again)), "every record of a request is put off")
        return [record for some in again.values() for record in some]

    def _in_halves(self, records: list[Record], settled: list[Fate]) -> list[Record]:
        if len(records) == 1:
            settled.append(Fate(records[0], Verdict(Kind.DEAD, "413 too large by itself")))
            return []
        middle = len(records) // 2
        return [*self._try(records[:middle], settled), *self._try(records[middle:], settled)]
