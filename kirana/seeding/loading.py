"""Loads rows into the catalog in batches, and adds up what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from kirana.calls import Calls
from shared.contracts import catalog
from shared.contracts.refusals import DeadlinePassed, OutcomeUnknown, Unavailable
from shared.values.identifiers import new_id

Row = dict[str, Any]
OnProgress = Callable[[int], None]

BATCH_ROWS = 1000
BATCH_BYTES = 2 * 2**20
"""Half of what the broker takes as one message."""
BATCH_SECONDS = 60.0
MAX_ATTEMPTS = 4
MAX_REPORTED = 200


@dataclass(frozen=True)
class LoadReport:
    """What a load did. ``bad`` holds the first bad rows; ``bad_count`` counts all."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    bad_count: int = 0
    bad: list[catalog.BadRow] = field(default_factory=list)

    def with_batch(self, loaded: catalog.Loaded) -> LoadReport:
        """Add the answer to one batch."""
        return LoadReport(
            inserted=self.inserted + loaded.inserted,
            updated=self.updated + loaded.updated,
            unchanged=self.unchanged + loaded.unchanged,
            bad_count=self.bad_count + len(loaded.bad),
            bad=[*self.bad, *loaded.bad][:MAX_REPORTED],
        )

    def with_bad(self, bad: list[catalog.BadRow]) -> LoadReport:
        """Add rows that were already unusable where they came from."""
        return replace(self, bad_count=self.bad_count + len(bad), bad=[*self.bad, *bad][:MAX_REPORTED])


def load_rows(rows: Iterable[Row], calls: Calls, on_progress: OnProgress = lambda _: None) -> LoadReport:
    """Insert or update ``rows`` by sku; a repetition changes nothing.

    Raises the catalog's refusal when a batch cannot be loaded after a few attempts.
    """
    report = LoadReport()
    for batch in _batches(rows):
        report = report.with_batch(_load_batch(batch, calls))
        on_progress(len(batch))
    return report


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    room = BATCH_BYTES
    for row in rows:
        size = len(msgspec.json.encode(row))
        if batch and (len(batch) == BATCH_ROWS or size > room):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append(row)
        room -= size
    if batch:
        yield batch


def _load_batch(batch: list[Row], calls: Calls) -> catalog.Loaded:
    operation_id = f"seed/{new_id()}"  # one for all attempts: the batch has one effect
    request = catalog.LoadProducts(rows=batch)
    attempt = 1
    while True:
        try:
            loaded: catalog.Loaded = calls.call(
                catalog.LOAD_PRODUCTS, request, operation_id=operation_id, timeout=BATCH_SECONDS
            )
        except (Unavailable, OutcomeUnknown, DeadlinePassed):
            if attempt == MAX_ATTEMPTS:
                raise
            time.sleep(attempt)
            attempt += 1
        else:
            return loaded
