"""Keeps accounts, sessions and tries to log in, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Transaction

from rpc_services.identity.domain import Account, Session, SpentToken, sameness
from rpc_services.identity.tables import login_attempts, refresh_tokens, sessions, users
from rpc_services.identity.throttle import Count
from shared.contracts.events import SESSION_REVOKED, SessionRevoked
from shared.contracts.identity import EmailTaken, UsernameTaken
from shared.messaging import outbox
from shared.values.times import Clock

Transact = Callable[[], AbstractContextManager[Transaction]]


def rows_of(transaction: Transaction, ids: Collection[str]) -> dict[str, Row[Any]]:
    """The rows of accounts, by id: all that is asked of the database for many who ask for one each."""
    return {row.id: row for row in transaction.execute(select(users).where(users.c.id.in_(ids)))}


class LoadedAccounts:
    """Accounts with rows that ``load`` fetches one by one, or together with others' rows."""

    def __init__(self, load: Callable[[str], Row[Any] | None]) -> None:
        self._load = load

    def find(self, ids: Collection[str]) -> Sequence[Account]:
        """Those of these ids that exist."""
        return [_account(row) for each in ids if (row := self._load(each)) is not None]


class SqlAccounts:
    """Accounts in the table ``users``."""

    def __init__(self, transaction: Transaction, clock: Clock) -> None:
        self._transaction = transaction
        self._clock = clock

    def add(self, account: Account) -> None:
        """Raises ``UsernameTaken`` or ``EmailTaken``; two at once cannot both succeed."""
        fresh = insert(users).values(
            id=account.id,
            username=account.username,
            username_sameness=sameness(account.username),
            email=account.email,
            email_sameness=sameness(account.email),
            first_name=account.first_name,
            last_name=account.last_name,
            phone_number=account.phone_number,
            scopes=list(account.scopes),
            password_hash=account.password_hash,
            created_at=self._clock(),
        )
        if self._transaction.execute(fresh.on_conflict_do_nothing().returning(users.c.id)).first() is None:
            raise UsernameTaken if self.named(account.username) else EmailTaken

    def find(self, ids: Collection[str]) -> Sequence[Account]:
        """Those of these ids that exist."""
        return [_account(row) for row in rows_of(self._transaction, ids).values()]

    def named(self, username: str) -> Account | None:
        """By username, whatever its case."""
        return self._one(users.c.username_sameness == sameness(username)) if "\0" not in username else None

    def locked(self, account_id: str) -> Account | None:
        """Reads with a lock on the row."""
        return self._one(users.c.id == account_id, for_update=True)

    def save(self, account: Account) -> None:
        """Keep a new password and new scopes."""
        changed = {"password_hash": account.password_hash, "scopes": list(account.scopes)}
        self._transaction.execute(update(users).where(users.c.id == account.id).values(**changed))

    def _one(self, condition: ColumnElement[bool], *, for_update: bool = False) -> Account | None:
        query = select(users).where(condition)
        row = self._transaction.execute(query.with_for_update(key_share=True) if for_update else query).one_or_none()
        return _account(row) if row else None


class SqlSessions:
    """Sessions and the fingerprints of their refresh tokens."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def open(self, session: Session, at: datetime) -> None:
        """A new login."""
        row = {"id": session.id, "user_id": session.user_id, "opened_at": at, "expires_at": session.expires_at}
        self._transaction.execute(insert(sessions).values(**row))

    def keep_token(self, token: bytes, session_id: str, at: datetime) -> None:
        """Keeping it again changes nothing."""
        row = insert(refresh_tokens).values(fingerprint=token, session_id=session_id, kept_at=at)
        self._transaction.execute(row.on_conflict_do_nothing())

    def spend(self, token: bytes, *, salt: bytes, at: datetime) -> None:
        """One guarded UPDATE: of many at once the first wins, and the others then see what it wrote."""
        unspent = (refresh_tokens.c.fingerprint == token) & refresh_tokens.c.spent_at.is_(None)
        self._transaction.execute(update(refresh_tokens).where(unspent).values(spent_at=at, salt=salt))

    def spent(self, token: bytes) -> SpentToken | None:
        """A token that was exchanged, with its session."""
        found = (
            select(refresh_tokens.c.spent_at, refresh_tokens.c.salt, sessions)
            .join(sessions, sessions.c.id == refresh_tokens.c.session_id)
            .where(refresh_tokens.c.fingerprint == token, refresh_tokens.c.spent_at.is_not(None))
        )
        row = self._transaction.execute(found).one_or_none()
        if row is None:
            return None
        session = Session(row.id, row.user_id, row.expires_at, row.revoked_at)
        return SpentToken(session, row.spent_at, bytes(row.salt))

    def revoke(self, session_id: str, user_id: str, *, at: datetime, reason: str) -> bool:
        """Gives whether this ended it."""
        live = (sessions.c.id == session_id) & (sessions.c.user_id == user_id) & sessions.c.revoked_at.is_(None)
        ended = update(sessions).where(live).values(revoked_at=at, revoked_because=reason)
        return self._transaction.execute(ended.returning(sessions.c.id)).first() is not None

    def live_of(self, user_id: str) -> list[str]:
        """In the order of their ids, so that two who end them all take the locks in the same order."""
        live = (sessions.c.user_id == user_id) & sessions.c.revoked_at.is_(None)
        return list(self._transaction.scalars(select(sessions.c.id).where(live).order_by(sessions.c.id)))

    def revoked_since(self, moment: datetime) -> dict[str, datetime]:
        """Sessions that were revoked after the moment, and when."""
        rows = self._transaction.execute(
            select(sessions.c.id, sessions.c.revoked_at).where(sessions.c.revoked_at > moment)
        )
        return {row.id: row.revoked_at for row in rows}


class SqlAnnounce:
    """Writes the event beside the change."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __call__(self, ended: SessionRevoked) -> None:
        """Told after the commit."""
        outbox.add(self._transaction, SESSION_REVOKED, aggregate_id=ended.session_id, data=ended)


class SqlAttempts:
    """Counters in the table ``login_attempts``: one upsert each, one short transaction of its own per call.

    A row says up to when its tries are paid for. A try pays for one more span, if that is not too far ahead.
    """

    def __init__(self, writing: Transact, clock: Clock) -> None:
        self._writing = writing
        self._clock = clock

    def take(self, counts: Sequence[Count]) -> float:
        """Gives the wait, in seconds, at the first counter that is used up."""
        with self._writing() as transaction:
            return next((wait for count in counts if (wait := self._take(transaction, count))), 0.0)

    def give_back(self, counts: Sequence[Count]) -> None:
        """Undo :meth:`take`."""
        with self._writing() as transaction:
            self._give_back(transaction, counts)

    def succeeded(self, counts: Sequence[Count]) -> None:
        """Give back, and set what success forgets to unused."""
        with self._writing() as transaction:
            for count in counts:
                if count.is_forgotten_on_success:
                    transaction.execute(delete(login_attempts).where(login_attempts.c.key == count.key))
                else:
                    self._give_back(transaction, [count])

    def _give_back(self, transaction: Transaction, counts: Sequence[Count]) -> None:
        for count in counts:
            earlier = login_attempts.c.paid_until - literal(count.allowance.every)
            row = login_attempts.c.key == count.key
            transaction.execute(update(login_attempts).where(row).values(paid_until=earlier))

    def _take(self, transaction: Transaction, count: Count) -> float:
        now, every, depth = self._clock(), count.allowance.every, count.allowance.depth
        paid_after = func.greatest(login_attempts.c.paid_until, literal(now)) + literal(every)
        taken = (
            insert(login_attempts)
            .values(key=count.key, paid_until=now + every)
            .on_conflict_do_update(
                index_elements=["key"], set_={"paid_until": paid_after}, where=paid_after <= now + depth
            )
            .returning(login_attempts.c.paid_until)
        )
        if transaction.execute(taken).first() is not None:
            return 0.0
        paid_until = transaction.scalar(select(login_attempts.c.paid_until).where(login_attempts.c.key == count.key))
        return max((paid_until - now - depth + every).total_seconds(), 0.001) if paid_until else 0.001


def sweep(transaction: Transaction, at: datetime) -> int:
    """Forget sessions that expired and counters that count nothing. Gives how many rows went."""
    gone = transaction.execute(delete(sessions).where(sessions.c.expires_at < at).returning(sessions.c.id)).all()
    idle = login_attempts.c.paid_until < at
    return len(gone) + len(
        transaction.execute(delete(login_attempts).where(idle).returning(login_attempts.c.key)).all()
    )


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        username=row.username,
        email=row.email,
        first_name=row.first_name,
        last_name=row.last_name,
        phone_number=row.phone_number,
        scopes=tuple(row.scopes),
        password_hash=row.password_hash,
    )
