"""Remembers the answer of every operation beside its effect, so that a repetition has one effect and one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from shared.contracts import known_refusals
from shared.contracts.refusals import KeyReused, Refusal, StillRunning
from shared.messaging.call import Call
from shared.messaging.tables import operations
from shared.persistence.ahead import put_ahead
from shared.persistence.engine import DEFAULT_LOCK_LIMIT, milliseconds
from shared.persistence.faults import LOCK_NOT_AVAILABLE, code_of

RUNNING = "in_progress"
DONE = "done"
PATIENCE_MS = 1000


@dataclass(frozen=True)
class Replay:
    """How the operation ended the first time: an answer (plain JSON) or a refusal."""

    answer: Any = None
    refusal: Refusal | None = None

    def give(self) -> Any:
        """The first answer again, or the first refusal raised again."""
        if self.refusal is not None:
            raise self.refusal
        return self.answer


@dataclass(frozen=True)
class Operation:
    """A remembered operation; ``replay`` is ``None`` while it runs."""

    operation_id: str
    method: str
    fingerprint: str | None
    replay: Replay | None


def begin(session: Session, call: Call) -> Replay | None:
    """Claim the call's operation id in this transaction; ``None`` means it is ours to run.

    A repetition gets the :class:`Replay` and is marked as replayed. Raises :class:`KeyReused` when the id belongs to
    something else, :class:`StillRunning` when the first run has not finished. Without an operation id nothing is kept.
    """
    if call.operation_id is None:
        return None
    if _claimed(session, call):
        return None
    found = find(session, call.operation_id)
    if found is None:  # the other run rolled back between our two statements
        raise StillRunning(retry_after=1)
    return replay_for(found, call)


def replay_for(found: Operation, call: Call) -> Replay:
    """What a repetition gets. Raises :class:`KeyReused` or :class:`StillRunning`."""
    if found.method != call.method or _differ(found.fingerprint, call.fingerprint):
        raise KeyReused
    if found.replay is None:
        raise StillRunning(retry_after=1)
    call.marks.replayed = True
    return found.replay


def find(session: Session, operation_id: str) -> Operation | None:
    """The operation of this id, if it was ever begun."""
    row = session.execute(select(operations).where(operations.c.operation_id == operation_id)).one_or_none()
    if row is None:
        return None
    replay = _read_outcome(row.outcome) if row.state == DONE else None
    return Operation(row.operation_id, row.method, row.fingerprint, replay)


def finish(
    session: Session, operation_id: str | None, *, answer: Any = None, refusal: Refusal | None = None
) -> Replay | None:
    """Write down how it ended. Gives what was written down, or ``None`` when there is no operation id."""
    if operation_id is None:
        return None
    replay = Replay(refusal=refusal) if refusal is not None else Replay(answer=msgspec.to_builtins(answer))
    outcome = {"refusal": refusal.to_wire()} if refusal is not None else {"answer": replay.answer}
    session.execute(
        update(operations).where(operations.c.operation_id == operation_id).values(state=DONE, outcome=outcome)
    )
    return replay


def _claimed(session: Session, call: Call) -> bool:
    claim = insert(operations).values(
        operation_id=call.operation_id, method=call.method, fingerprint=call.fingerprint, state=RUNNING
    )
    put_ahead(session, f"SET LOCAL lock_timeout = {PATIENCE_MS}; ")
    try:
        claimed = session.execute(claim.on_conflict_do_nothing().returning(operations.c.operation_id)).first()
    except OperationalError as fault:
        if code_of(fault) == LOCK_NOT_AVAILABLE:
            raise StillRunning(retry_after=1) from None
        raise
    put_ahead(session, f"SET LOCAL lock_timeout = {milliseconds(DEFAULT_LOCK_LIMIT)}; ")
    return claimed is not None


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _read_outcome(outcome: dict[str, Any]) -> Replay:
    if "refusal" in outcome:
        return Replay(refusal=known_refusals.from_wire(outcome["refusal"]))
    return Replay(answer=outcome["answer"])
