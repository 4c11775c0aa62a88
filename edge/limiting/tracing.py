"""What the edge records of a question to Redis that many requests ask together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.tracing.recording import Value, part

if TYPE_CHECKING:
    from collections.abc import Sequence


class Question:
    """One under way, from now on."""

    def __init__(self, callers: Sequence[str], groups: int) -> None:
        kind: dict[str, Value] = {"db.system.name": "redis", "db.operation.name": "EVALSHA"}
        kind["db.operation.batch.size"] = groups
        self._span = part("take limits", kind, links=callers)
        self._span.__enter__()

    def over(self, answer: object) -> None:
        """It was answered, or given up."""
        self._span.__exit__(type(answer) if isinstance(answer, Exception) else None)
