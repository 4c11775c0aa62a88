"""Forgets what is over, in batches small enough that no caller notices, and in no more of them than fit a tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, delete, exists, select
from sqlalchemy.orm import Session as Transaction

from rpc_services.identity.domain import REVOCATION_MEMORY
from rpc_services.identity.storage import Transact
from rpc_services.identity.tables import (
    cutoffs,
    ended_grants,
    known_visitors,
    login_attempts,
    refresh_tokens,
    sessions,
)
from shared.messaging.tables import event_sequences

BATCH = 500
SESSIONS_AT_ONCE = 50
MOST_BATCHES = 200
"""Of each kind at a time; what is left is forgotten at the next."""

Batch = Callable[[Transaction, datetime], int]


def sweep(writing: Transact, at: datetime) -> int:
    """Forget what expired or refuses no token any more, visitors long unseen and idle counters.

    Each batch is a transaction of its own. Gives how many rows went, but for those that count events.
    """
    return sum(_swept(writing, batch, at) for batch in _BATCHES)


def _swept(writing: Transact, batch: Batch, at: datetime) -> int:
    swept = 0
    for _ in range(MOST_BATCHES):
        with writing() as transaction:
            gone = batch(transaction, at)
        if not gone:
            break
        swept += gone
    return swept


def _sessions(transaction: Transaction, at: datetime) -> int:
    """Of some expired sessions a batch of their tokens, for one may have thousands, and those that have none left."""
    expired = select(sessions.c.id).where(sessions.c.expires_at < at).order_by(sessions.c.expires_at)
    ids = transaction.scalars(expired.limit(SESSIONS_AT_ONCE)).all()
    if not ids:
        return 0
    tokens = _forget(transaction, refresh_tokens.c.fingerprint, refresh_tokens.c.session_id.in_(ids))
    has_tokens = exists().where(refresh_tokens.c.session_id == sessions.c.id)
    gone = _forget(transaction, sessions.c.id, sessions.c.id.in_(ids) & ~has_tokens)
    _forget_sequences(transaction, gone)
    return len(tokens) + len(gone)


def _grants(transaction: Transaction, at: datetime) -> int:
    gone = _forget(transaction, ended_grants.c.id, ended_grants.c.ended_at < at - REVOCATION_MEMORY)
    _forget_sequences(transaction, gone)
    return len(gone)


def _cutoffs(transaction: Transaction, at: datetime) -> int:
    return len(_forget(transaction, cutoffs.c.subject, cutoffs.c.forget_at < int(at.timestamp())))


def _visitors(transaction: Transaction, at: datetime) -> int:
    return len(_forget(transaction, known_visitors.c.key, known_visitors.c.until < at))


def _attempts(transaction: Transaction, at: datetime) -> int:
    return len(_forget(transaction, login_attempts.c.key, login_attempts.c.paid_until < at))


_BATCHES: tuple[Batch, ...] = (_grants, _cutoffs, _visitors, _attempts, _sessions)


def _forget(transaction: Transaction, key: Column[Any], is_due: ColumnElement[bool]) -> Sequence[Any]:
    """A batch of what is due, but for rows that somebody is at: nobody is waited for. Gives the keys."""
    due = select(key).where(is_due).limit(BATCH).with_for_update(skip_locked=True, of=key.table).cte("due")
    gone = delete(key.table).where(key.in_(select(due.c[key.name]))).returning(key)
    return transaction.scalars(gone).all()


def _forget_sequences(transaction: Transaction, ended: Sequence[str]) -> None:
    """Whatever they told stands in the outbox with its number, and they tell nothing any more."""
    transaction.execute(delete(event_sequences).where(event_sequences.c.aggregate_id.in_(ended)))
