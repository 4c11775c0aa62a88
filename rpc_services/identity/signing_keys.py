"""Keeps the signing keys in PostgreSQL, and takes each through its life: published, signing, retiring, forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Transaction

from rpc_services.identity.key_rotation import Algorithm, KnownKey, Schedule, Step
from rpc_services.identity.signing import SealedKey
from rpc_services.identity.tables import signing_keys
from shared.values.times import Clock

NewKey = Callable[[Algorithm], SealedKey]

_LOCK = 4_901_777_001
"""Of all instances that start at once, one makes the keys."""


class SqlSigningKeys:
    """The keys of this shop in the table ``signing_keys``."""

    def __init__(self, transaction: Transaction, schedule: Schedule | None = None) -> None:
        self._transaction = transaction
        self._schedule = schedule or Schedule()

    def current(self) -> SealedKey | None:
        """The key that signs; ``None`` only before the first was made."""
        row = self._transaction.execute(select(signing_keys).where(signing_keys.c.state == "current")).one_or_none()
        return SealedKey(row.kid, row.public_jwk, bytes(row.sealed_private_pem)) if row else None

    def public(self) -> list[dict[str, Any]]:
        """The key set (RFC 7517): current, next and retiring."""
        return list(self._transaction.scalars(select(signing_keys.c.public_jwk).order_by(signing_keys.c.kid)))

    def keep_turning(self, new_key: NewKey, clock: Clock) -> list[Step]:
        """Do every step of the keys' lives that is due, under a lock. Gives what was done; mostly nothing."""
        self._lock()
        done: list[Step] = []
        while step := self._schedule.next_step(self.known(), clock()):
            self._do(step, new_key, clock())
            done.append(step)
        return done

    def hasten(self, at: datetime) -> None:
        """Have the current key replaced as soon as the next one has been published long enough."""
        self._lock()
        current = signing_keys.c.state == "current"
        self._transaction.execute(
            update(signing_keys).where(current, signing_keys.c.due_at.is_(None)).values(due_at=at)
        )

    def forget_all(self) -> None:
        """Whoever may have one of them may have them all: they lay in one place, under one passphrase."""
        self._lock()
        self._transaction.execute(delete(signing_keys))

    def known(self) -> list[KnownKey]:
        """All keys, oldest first."""
        rows = self._transaction.execute(select(signing_keys).order_by(signing_keys.c.since, signing_keys.c.kid))
        return [
            KnownKey(row.kid, row.state, row.since, row.public_jwk["alg"], is_due=row.due_at is not None)
            for row in rows
        ]

    def _lock(self) -> None:
        self._transaction.execute(select(func.pg_advisory_xact_lock(_LOCK)))

    def _do(self, step: Step, new_key: NewKey, at: datetime) -> None:
        named = signing_keys.c.kid == step.kid
        if step.state is None:
            self._transaction.execute(delete(signing_keys).where(named))
        elif step.kid is not None:
            self._transaction.execute(update(signing_keys).where(named).values(state=step.state, since=at))
        else:
            key = new_key(self._schedule.algorithm)
            row = {"kid": key.kid, "public_jwk": key.public_jwk, "sealed_private_pem": key.sealed_private_pem}
            self._transaction.execute(insert(signing_keys).values(**row, state=step.state, since=at))


def ensured_current(
    transaction: Transaction, new_key: NewKey, clock: Clock, schedule: Schedule | None = None
) -> SealedKey:
    """The key that signs; made now, if this is the very first call of the shop's life."""
    keys = SqlSigningKeys(transaction, schedule)
    if (key := keys.current()) is None:
        keys.keep_turning(new_key, clock)
        key = keys.current()
    if key is None:  # pragma: no cover - turning always leaves a current key
        raise LookupError("There is no signing key.")
    return key
