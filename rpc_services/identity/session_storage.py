"""Keeps sessions, their refresh tokens, and from when on whose tokens count, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Transaction

from rpc_services.identity.domain import ENDED_AT_ONCE, MOST_SESSIONS, Cutoff, Session, SpentToken
from rpc_services.identity.tables import clients, cutoffs, ended_grants, refresh_tokens, sessions
from shared.contracts.events import (
    SESSION_REVOKED,
    SIGNING_KEYS_TURNED,
    USER_SESSIONS_REVOKED,
    SessionRevoked,
    SigningKeysTurned,
    UserSessionsRevoked,
)
from shared.contracts.identity import OpenSession
from shared.messaging import outbox
from shared.values.times import to_rfc3339

KEY_SET = "key set"


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
        """Locks the session's row: who ends it waits, lest a token be made in a session that has ended meanwhile."""
        found = (
            select(refresh_tokens.c.spent_at, refresh_tokens.c.salt, sessions)
            .join(sessions, sessions.c.id == refresh_tokens.c.session_id)
            .where(refresh_tokens.c.fingerprint == token, refresh_tokens.c.spent_at.is_not(None))
            .with_for_update(key_share=True, of=sessions)
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

    def revoke_oldest_of(self, user_id: str, *, kept: int, at: datetime, reason: str) -> Sequence[str]:
        """Reads both ends of an index, however many lie between. One that has just expired is counted with the rest."""
        held = (sessions.c.user_id == user_id) & sessions.c.revoked_at.is_(None)
        newest = select(sessions.c.id).where(held).order_by(sessions.c.opened_at.desc(), sessions.c.id.desc())
        beyond = select(sessions.c.id).where(held, sessions.c.id.not_in(newest.limit(kept)))
        oldest = beyond.order_by(sessions.c.opened_at, sessions.c.id).limit(ENDED_AT_ONCE)
        ended = update(sessions).where(sessions.c.id.in_(oldest), sessions.c.revoked_at.is_(None))
        told = ended.values(revoked_at=at, revoked_because=reason).returning(sessions.c.id)
        return self._transaction.scalars(told).all()

    def revoke_all_of(self, user_id: str, *, but: str, at: datetime, reason: str) -> None:
        """One UPDATE, however many there are."""
        live = (sessions.c.user_id == user_id) & sessions.c.revoked_at.is_(None)
        ended = live & (sessions.c.id != but) if but else live
        self._transaction.execute(update(sessions).where(ended).values(revoked_at=at, revoked_because=reason))

    def live_of(self, user_id: str, at: datetime) -> list[OpenSession]:
        """The user's sessions that have not ended, oldest first; at most a hundred, the newest."""
        live = (sessions.c.user_id == user_id) & sessions.c.revoked_at.is_(None) & (sessions.c.expires_at > at)
        newest = select(sessions).where(live).order_by(sessions.c.opened_at.desc(), sessions.c.id.desc())
        rows = self._transaction.execute(newest.limit(MOST_SESSIONS)).all()
        return [_shown(row) for row in reversed(rows)]

    def revoked_since(self, moment: datetime) -> dict[str, datetime]:
        """Sessions that were revoked after the moment and that no cut-off covers, and when.

        One that a cut-off kept may have ended before it, while the password that it was changed with was being hashed.
        """
        covered = exists().where(
            cutoffs.c.subject == sessions.c.user_id,
            cutoffs.c.ended_at >= sessions.c.revoked_at,
            cutoffs.c.kept_session_id.is_distinct_from(sessions.c.id),
        )
        rows = self._transaction.execute(
            select(sessions.c.id, sessions.c.revoked_at).where(sessions.c.revoked_at > moment, ~covered)
        )
        return {row.id: row.revoked_at for row in rows}


class SqlEndedGrants:
    """One row for each grant of a client that ended lately. It goes with its client: then a cut-off covers it."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def end(self, grant_id: str, client_id: str, *, at: datetime) -> bool:
        """Locks the client's row, lest it be removed between the look at it and the reference to it."""
        granted = (
            select(literal(grant_id, ended_grants.c.id.type), clients.c.id, literal(at, ended_grants.c.ended_at.type))
            .where(clients.c.id == client_id, ~exists().where(sessions.c.id == grant_id))
            .with_for_update(read=True, key_share=True, of=clients)
        )
        row = insert(ended_grants).from_select(["id", "client_id", "ended_at"], granted)
        ended = row.on_conflict_do_nothing().returning(ended_grants.c.id)
        return self._transaction.execute(ended).first() is not None

    def since(self, moment: datetime) -> dict[str, datetime]:
        """Those that ended after the moment, and when."""
        ended = select(ended_grants.c.id, ended_grants.c.ended_at).where(ended_grants.c.ended_at > moment)
        return {row.id: row.ended_at for row in self._transaction.execute(ended)}


class SqlCutoffs:
    """One row for each user or client of whom all sessions ended lately."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def of(self, subject: str) -> Cutoff | None:
        """The latest one, as long as it matters."""
        row = self._transaction.execute(select(cutoffs).where(cutoffs.c.subject == subject)).one_or_none()
        return _cutoff(row) if row else None

    def put(self, cutoff: Cutoff) -> None:
        """In place of the subject's former one."""
        values = {
            "ended_at": cutoff.ended_at,
            "issued_before": cutoff.issued_before,
            "kept_session_id": cutoff.kept_session_id or None,
            "forget_at": cutoff.forget_at,
        }
        row = insert(cutoffs).values(subject=cutoff.subject, **values)
        self._transaction.execute(row.on_conflict_do_update(index_elements=["subject"], set_=values))

    def since(self, moment: datetime) -> list[Cutoff]:
        """All whose tokens could have been alive at the moment."""
        return [_cutoff(row) for row in self._transaction.execute(select(cutoffs).where(cutoffs.c.ended_at > moment))]


class SqlAnnounce:
    """Writes the event beside the change: it is told after the commit."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def session(self, ended: SessionRevoked) -> None:
        """One session."""
        outbox.add(self._transaction, SESSION_REVOKED, aggregate_id=ended.session_id, data=ended)

    def user(self, ended: UserSessionsRevoked) -> None:
        """All sessions of a user or all grants of a client, but for one."""
        outbox.add(self._transaction, USER_SESSIONS_REVOKED, aggregate_id=ended.user_id, data=ended)

    def keys(self, turned: SigningKeysTurned) -> None:
        """The key set changed."""
        outbox.add(self._transaction, SIGNING_KEYS_TURNED, aggregate_id=KEY_SET, data=turned)


def _cutoff(row: Row[Any]) -> Cutoff:
    return Cutoff(
        subject=row.subject,
        ended_at=row.ended_at,
        issued_before=row.issued_before,
        kept_session_id=row.kept_session_id or "",
    )


def _shown(row: Row[Any]) -> OpenSession:
    opened, expires = to_rfc3339(row.opened_at), to_rfc3339(row.expires_at)
    return OpenSession(id=row.id, opened_at=opened, expires_at=expires, is_current=False)
