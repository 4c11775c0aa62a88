"""Records each statement, and each COMMIT, as a part of the call that waits for it, while somebody collects spans."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from sqlalchemy import Engine, event

from shared.persistence.connection import Connection
from shared.tracing import recording
from shared.tracing.recording import Recorded, Value, recorded_parent
from shared.tracing.spans import child_of

LONGEST_STATEMENT = 2_000
_BEGAN = "kirana_began_ns"


class TracedConnection(Connection):
    """Records how its transactions end: a COMMIT waits for the disk."""

    def _end(self, how: str) -> None:
        parent = recorded_parent()
        if parent is None or self.closed or self.get_transaction_status() == TRANSACTION_STATUS_IDLE:
            super()._end(how)
            return
        began_ns = time.time_ns()
        fault: str | None = "unanswered"
        try:
            super()._end(how)
            fault = None
        finally:
            place = self.get_dsn_parameters()
            _record(parent, how, began_ns, _kind(how, place.get("dbname", ""), {}), fault)


def trace_statements(engine: Engine) -> None:
    """Record the statements of this engine. Parameters are never told; what SQL holds of values are limits of ours."""
    place: dict[str, Value] = {
        "server.address": engine.url.host or "localhost",
        "server.port": engine.url.port or 5432,
    }
    name = engine.url.database or ""

    def before(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: Any) -> None:
        del statement
        if context is not None:
            setattr(context, _BEGAN, time.time_ns() if recorded_parent() is not None else 0)

    def after(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: Any) -> None:
        over(context, statement, None)

    def failed(told: Any) -> None:
        fault = told.original_exception
        over(told.execution_context, told.statement or "", getattr(fault, "pgcode", None) or type(fault).__name__)

    def over(context: Any, statement: str, fault: str | None) -> None:
        began_ns, parent = getattr(context, _BEGAN, 0), recorded_parent()
        if began_ns and parent is not None:
            setattr(context, _BEGAN, 0)
            written = getattr(context, "statement", None) or statement  # without what is sent ahead of it
            attributes = {"db.query.text": written[:LONGEST_STATEMENT], **_kind(written, name, place)}
            _record(parent, str(attributes["db.operation.name"]), began_ns, attributes, fault)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)


def _kind(statement: str, name: str, place: Mapping[str, Value]) -> dict[str, Value]:
    operation = statement.split(None, 1)[0].upper().rstrip(";") if statement.strip() else "SQL"
    return {"db.system.name": "postgresql", "db.namespace": name, "db.operation.name": operation, **place}


def _record(parent: str, name: str, began_ns: int, attributes: dict[str, Value], fault: str | None) -> None:
    recorder = recording.active
    if recorder is not None:
        recorder.record(
            Recorded(
                name=f"{name} {attributes['db.namespace']}",
                kind="client",
                own=child_of(parent),
                parent=parent,
                began_ns=began_ns,
                attributes=attributes,
                fault=fault,
            )
        )
