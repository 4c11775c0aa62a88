"""What a worker knows of keys and ended sessions, as metrics: read when somebody asks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from shared.metrics import families
from shared.metrics.state import Seen, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from edge.keys import KeyRing
    from edge.revocations import EndedSessions


class TokenState(Collector):
    """By what this worker judges tokens, as it stands. Keys that were never told have no age."""

    def __init__(self, keys: KeyRing, sessions: EndedSessions) -> None:
        self._keys = keys
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        age = self._keys.age
        yield counted(families.KEYS_AGE, *([Seen((), age)] if age < math.inf else []))
        yield counted(families.REVOCATIONS, *(Seen((kind,), count) for kind, count in self._sessions.counts.items()))
        yield counted(families.REVOCATIONS_COMPLETE, Seen((), self._sessions.is_complete))
