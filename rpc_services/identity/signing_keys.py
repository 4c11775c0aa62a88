"""Keeps the signing keys in PostgreSQL, and takes each through its life: published, signing, retiring, forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Transaction

from rpc_services.identity.key_rotation import KnownKey, Step, next_step
from rpc_services.identity.signing import SealedKey
from rpc_services.identity.tables import signing_keys
from shared.values.times import Clock

NewKey = Callable[[], SealedKey]

_LOCK = 4_901_777_001
"""Of all instances that start at once, one makes the keys."""


class SqlSigningKeys:
    """The keys of this shop in the table ``signing_keys``."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def current(self) -> SealedKey | None:
        """The key that signs; ``None`` only before the first was made."""
        row = self._transaction.execute(select(signing_keys).where(signing_keys.c.state == "current")).one_or_none()
        return SealedKey(row.kid, row.public_jwk, bytes(row.sealed_private_pem)) if row else None

    def public(self) -> list[dict[str, Any]]:
        """The key set (RFC 7517): current, next and retiring."""
        return list(self._transaction.scalars(select(signing_keys.c.public_jwk).order_by(signing_keys.c.kid)))

    def keep_turning(self, new_key: NewKey, clock: Clock) -> list[Step]:
        """Do every step of the keys' lives that is due, under a lock. Gives what was done; mostly nothing."""
        self._transaction.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        done: list[Step] = []
        while step := next_step(self._known(), clock()):
            self._do(step, new_key, clock())
            done.append(step)
        return done

    def _known(self) -> list[KnownKey]:
        rows = self._transaction.execute(select(signing_keys.c.kid, signing_keys.c.state, signing_keys.c.since))
        return [KnownKey(row.kid, row.state, row.since) for row in rows]

    def _do(self, step: Step, new_key: NewKey, at: datetime) -> None:
        named = signing_keys.c.kid == step.kid
        if step.state is None:
            self._transaction.execute(delete(signing_keys).where(named))
        elif step.kid is not None:
            self._transaction.execute(update(signing_keys).where(named).values(state=step.state, since=at))
        else:
            key = new_key()
            row = {"kid": key.kid, "public_jwk": key.public_jwk, "sealed_private_pem": key.sealed_private_pem}
            self._transaction.execute(insert(signing_keys).values(**row, state=step.state, since=at))


def ensured_current(transaction: Transaction, new_key: NewKey, clock: Clock) -> SealedKey:
    """The key that signs; made now, if this is the very first call of the shop's life."""
    keys = SqlSigningKeys(transaction)
    if (key := keys.current()) is None:
        keys.keep_turning(new_key, clock)
        key = keys.current()
    if key is None:  # pragma: no cover - turning always leaves a current key
        raise LookupError("There is no signing key.")
    return key
