"""What identity does with sessions: opens them, carries them on, ends them, and tells everybody that they ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from msgspec import structs

from rpc_services.identity.domain import (
    MOST_SESSIONS,
    REVOCATION_MEMORY,
    Account,
    Cutoff,
    Session,
    SpentToken,
    new_session,
    scopes_within,
)
from rpc_services.identity.tokens import Mint, Seed, fingerprint, seed_of_successor
from rpc_services.identity.use_cases import Accounts
from shared.contracts.events import SessionRevoked, UserSessionsRevoked
from shared.contracts.identity import (
    AccessToken,
    InvalidCredentials,
    InvalidRefreshToken,
    ListSessions,
    MintAccessToken,
    OpenSession,
    RefreshTokens,
    RevokedSessions,
    RevokedUser,
    RevokeSession,
    TokenPair,
    UserNotFound,
)
from shared.contracts.identity_grants import InvalidScope
from shared.contracts.method import Nothing
from shared.values.identifiers import NewId, is_id
from shared.values.times import Clock


class Sessions(Protocol):
    """Logins, and the refresh tokens that carry each of them on."""

    def open(self, session: Session, at: datetime) -> None:
        """A new login."""
        ...

    def keep_token(self, token: bytes, session_id: str, at: datetime) -> None:
        """The fingerprint of a token that may be exchanged once; keeping it again changes nothing."""
        ...

    def spend(self, token: bytes, *, salt: bytes, at: datetime) -> None:
        """Mark the token as exchanged, unless it was before: then its first salt and time stay."""
        ...

    def spent(self, token: bytes) -> SpentToken | None:
        """A token that was exchanged, with its session as it is now; it does not end until this transaction does."""
        ...

    def revoke(self, session_id: str, user_id: str, *, at: datetime, reason: str) -> bool:
        """End the session. Gives whether this ended it."""
        ...

    def revoke_oldest_of(self, user_id: str, *, kept: int, at: datetime, reason: str) -> Sequence[str]:
        """End the oldest of the user's sessions beyond the newest ``kept``, ``ENDED_AT_ONCE`` at most: their ids."""
        ...

    def revoke_all_of(self, user_id: str, *, but: str, at: datetime, reason: str) -> None:
        """End every session of the user except the one with the id ``but``."""
        ...

    def live_of(self, user_id: str, at: datetime) -> list[OpenSession]:
        """The user's sessions that have not ended, oldest first."""
        ...

    def revoked_since(self, moment: datetime) -> dict[str, datetime]:
        """Sessions that were revoked after the moment and that no cut-off covers, and when."""
        ...


class EndedGrants(Protocol):
    """Clients' grants that ended before their time. Of those that live nothing is kept: their tokens say all."""

    def end(self, grant_id: str, client_id: str, *, at: datetime) -> bool:
        """Gives whether this ended it: not if it had ended, nor if this is no client or the id is a user's session."""
        ...

    def since(self, moment: datetime) -> dict[str, datetime]:
        """Those that ended after the moment, and when."""
        ...


class Cutoffs(Protocol):
    """From when on the tokens of each user or client count."""

    def of(self, subject: str) -> Cutoff | None:
        """The latest one, as long as it matters."""
        ...

    def put(self, cutoff: Cutoff) -> None:
        """In place of the subject's former one."""
        ...

    def since(self, moment: datetime) -> list[Cutoff]:
        """All whose tokens could have been alive at the moment."""
        ...


class Announce(Protocol):
    """Tells the shop of what ended, if the transaction holds."""

    def session(self, ended: SessionRevoked) -> None:
        """One session."""
        ...

    def user(self, ended: UserSessionsRevoked) -> None:
        """All sessions of a user or all grants of a client, but for one."""
        ...


@dataclass(frozen=True)
class SessionEnds:
    """Ends sessions for good: in the books, and at every edge by the event. A client's grant is such a session."""

    sessions: Sessions
    grants: EndedGrants
    cutoffs: Cutoffs
    announce: Announce
    clock: Clock

    def end(self, session_id: str, user_id: str, *, reason: str) -> None:
        """End one. Ending it again changes nothing and tells nobody.

        A client's grant is looked for only if no session was ended: users are many, and theirs is one statement.
        """
        at = self.clock()
        has_ended = self.sessions.revoke(session_id, user_id, at=at, reason=reason)
        if has_ended or self.grants.end(session_id, user_id, at=at):
            self._tell(session_id, user_id, at)

    def make_room(self, user_id: str) -> None:
        """End the oldest sessions beyond the most, so that this user may open one. The caller holds the user's row."""
        at = self.clock()
        kept = MOST_SESSIONS - 1
        for session_id in self.sessions.revoke_oldest_of(user_id, kept=kept, at=at, reason="too many sessions"):
            self._tell(session_id, user_id, at)

    def end_all_of(self, user_id: str, *, reason: str, but: str = "") -> None:
        """End every session of this user, except the one with the id ``but``. The caller holds the user's row."""
        self.sessions.revoke_all_of(user_id, but=but, at=self.clock(), reason=reason)
        self.cut_off(user_id, kept_session_id=but)

    def cut_off(self, subject: str, *, kept_session_id: str = "") -> None:
        """Whatever was issued to this user or client up to now counts no more, but in the session that is kept.

        The time is taken only now: whoever was carrying a session on has been waited for when its row was written.
        """
        at = self.clock()
        cutoff = Cutoff.after(self.cutoffs.of(subject), subject, at=at, kept_session_id=kept_session_id)
        self.cutoffs.put(cutoff)
        self.announce.user(
            UserSessionsRevoked(
                user_id=subject,
                issued_before=cutoff.issued_before,
                kept_session_id=kept_session_id,
                forget_at=cutoff.forget_at,
            )
        )

    def _tell(self, session_id: str, user_id: str, at: datetime) -> None:
        told = SessionRevoked(session_id=session_id, user_id=user_id, forget_at=_forgotten_at(at))
        self.announce.session(told)


@dataclass(frozen=True)
class Login:
    """Opens sessions for those who passed the gate."""

    accounts: Accounts
    sessions: Sessions
    mint: Mint
    ends: SessionEnds
    new_id: NewId

    def open(self, admitted: Account, seed: Seed) -> TokenPair:
        """A new session and its first pair.

        Raises ``InvalidCredentials`` when the password was changed since it was checked.
        """
        account = self.accounts.locked(admitted.id)
        if account is None or account.is_disabled or account.password_hash != admitted.password_hash:
            raise InvalidCredentials
        session, at = self._opened(account)
        self.sessions.keep_token(fingerprint(seed.refresh), session.id, at)
        return self.mint.pair(account, session, seed, at)

    def mint_access_token(self, request: MintAccessToken, seed: Seed) -> AccessToken:
        """An access token without a password, in a session of its own that can be ended. Raises ``UserNotFound``."""
        known = self.accounts.named(request.username)
        account = known and self.accounts.locked(known.id)
        if account is None or account.is_disabled:
            raise UserNotFound
        session, at = self._opened(account)
        return self.mint.access(account, session, seed, at)

    def _opened(self, account: Account) -> tuple[Session, datetime]:
        self.ends.make_room(account.id)
        at = self.ends.clock()
        session = new_session(self.new_id(), account.id, at)
        self.sessions.open(session, at)
        return session, at


@dataclass(frozen=True)
class Refreshing:
    """Exchanges refresh tokens. ``secret`` and the salt of each exchange lead from a token to its only successor."""

    accounts: Accounts
    sessions: Sessions
    mint: Mint
    ends: SessionEnds
    secret: bytes
    new_salt: Callable[[], bytes]

    def exchange(self, request: RefreshTokens) -> TokenPair | InvalidRefreshToken:
        """A new pair, or the refusal as a value: a replay ends the session, which must be kept while the answer is no.

        First and late callers go the same way, so within the grace they get the very same pair.
        Raises ``InvalidScope``, before which nothing is spent if the transaction is then given up.
        """
        at = self.ends.clock()
        presented = fingerprint(request.refresh)
        self.sessions.spend(presented, salt=self.new_salt(), at=at)
        token = self.sessions.spent(presented)
        if token is None or token.session.has_ended(at):
            return InvalidRefreshToken()
        if token.is_replayed(at):
            self.ends.end(token.session.id, token.session.user_id, reason="refresh token replayed")
            return InvalidRefreshToken()
        return self._successor(request, token)

    def _successor(self, request: RefreshTokens, token: SpentToken) -> TokenPair | InvalidRefreshToken:
        account = next(iter(self.accounts.find([token.session.user_id])), None)
        if account is None or account.is_disabled:
            return InvalidRefreshToken()
        scopes = scopes_within(request.scope, account.scopes)
        if scopes is None:
            raise InvalidScope
        seed = seed_of_successor(request.refresh, salt=token.salt, secret=self.secret)
        self.sessions.keep_token(fingerprint(seed.refresh), token.session.id, token.spent_at)
        return self.mint.pair(account, token.session, seed, token.spent_at, scope=" ".join(scopes))


def revoke_session(request: RevokeSession, *, ends: SessionEnds) -> Nothing:
    """End a session of this user or client; that it has ended already, or is another's, changes nothing."""
    if is_id(request.session_id) and is_id(request.user_id):
        ends.end(request.session_id, request.user_id, reason="logged out")
    return Nothing()


def list_sessions(request: ListSessions, *, sessions: Sessions, clock: Clock) -> list[OpenSession]:
    """Where this user is logged in."""
    live = sessions.live_of(request.user_id, clock()) if is_id(request.user_id) else []
    return [structs.replace(each, is_current=each.id == request.session_id) for each in live]


def list_revoked_sessions(
    *, sessions: Sessions, grants: EndedGrants, cutoffs: Cutoffs, clock: Clock
) -> RevokedSessions:
    """Those whose access tokens could still be alive."""
    since = clock() - REVOCATION_MEMORY
    ended = sessions.revoked_since(since) | grants.since(since)
    return RevokedSessions(
        sessions={each: _forgotten_at(at) for each, at in ended.items()},
        users={
            each.subject: RevokedUser(
                issued_before=each.issued_before, kept_session_id=each.kept_session_id, forget_at=each.forget_at
            )
            for each in cutoffs.since(since)
        },
    )


def _forgotten_at(ended_at: datetime) -> int:
    return int((ended_at + REVOCATION_MEMORY).timestamp()) + 1
