"""What identity does with sessions: opens them, carries them on, ends them, and tells everybody that they ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rpc_services.identity.domain import REVOCATION_MEMORY, Account, Session, SpentToken, new_session
from rpc_services.identity.tokens import Mint, Seed, fingerprint, seed_of_successor
from rpc_services.identity.use_cases import Accounts
from shared.contracts.events import SessionRevoked
from shared.contracts.identity import (
    AccessToken,
    InvalidCredentials,
    InvalidRefreshToken,
    MintAccessToken,
    RefreshTokens,
    RevokedSessions,
    RevokeSession,
    TokenPair,
    UserNotFound,
)
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
        """A token that was exchanged, with its session."""
        ...

    def revoke(self, session_id: str, user_id: str, *, at: datetime, reason: str) -> bool:
        """End the session. Gives whether this ended it."""
        ...

    def live_of(self, user_id: str) -> list[str]:
        """The ids of the user's sessions that have not been revoked."""
        ...

    def revoked_since(self, moment: datetime) -> dict[str, datetime]:
        """Sessions that were revoked after the moment, and when."""
        ...


class Announce(Protocol):
    """Tells the shop of an ended session, if the transaction holds."""

    def __call__(self, ended: SessionRevoked) -> None:
        """Told once the transaction holds."""
        ...


@dataclass(frozen=True)
class SessionEnds:
    """Ends sessions for good: in the books, and at every edge by the event."""

    sessions: Sessions
    announce: Announce
    clock: Clock

    def end(self, session_id: str, user_id: str, *, reason: str) -> None:
        """End one. Ending it again changes nothing and tells nobody."""
        at = self.clock()
        if self.sessions.revoke(session_id, user_id, at=at, reason=reason):
            forget_at = int((at + REVOCATION_MEMORY).timestamp()) + 1
            self.announce(SessionRevoked(session_id=session_id, user_id=user_id, forget_at=forget_at))

    def end_all_of(self, user_id: str, *, reason: str) -> None:
        """End every session of this user."""
        for session_id in self.sessions.live_of(user_id):
            self.end(session_id, user_id, reason=reason)


@dataclass(frozen=True)
class Login:
    """Opens sessions for those who passed the gate."""

    accounts: Accounts
    sessions: Sessions
    mint: Mint
    clock: Clock
    new_id: NewId

    def open(self, admitted: Account, seed: Seed) -> TokenPair:
        """A new session and its first pair.

        Raises ``InvalidCredentials`` when the password was changed since it was checked.
        """
        account = self.accounts.locked(admitted.id)
        if account is None or account.password_hash != admitted.password_hash:
            raise InvalidCredentials
        session, at = self._opened(account)
        self.sessions.keep_token(fingerprint(seed.refresh), session.id, at)
        return self.mint.pair(account, session, seed, at)

    def mint_access_token(self, request: MintAccessToken, seed: Seed) -> AccessToken:
        """An access token without a password, in a session of its own that can be ended. Raises ``UserNotFound``."""
        account = self.accounts.named(request.username)
        if account is None:
            raise UserNotFound
        session, at = self._opened(account)
        return self.mint.access(account, session, seed, at)

    def _opened(self, account: Account) -> tuple[Session, datetime]:
        at = self.clock()
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
        return self._successor(request.refresh, token)

    def _successor(self, refresh: str, token: SpentToken) -> TokenPair | InvalidRefreshToken:
        account = next(iter(self.accounts.find([token.session.user_id])), None)
        if account is None:
            return InvalidRefreshToken()
        seed = seed_of_successor(refresh, salt=token.salt, secret=self.secret)
        self.sessions.keep_token(fingerprint(seed.refresh), token.session.id, token.spent_at)
        return self.mint.pair(account, token.session, seed, token.spent_at)


def revoke_session(request: RevokeSession, *, ends: SessionEnds) -> Nothing:
    """End a session of this user; that it has ended already, or is another's, changes nothing."""
    if is_id(request.session_id) and is_id(request.user_id):
        ends.end(request.session_id, request.user_id, reason="logged out")
    return Nothing()


def list_revoked_sessions(*, sessions: Sessions, clock: Clock) -> RevokedSessions:
    """Those whose access tokens could still be alive."""
    recent = sessions.revoked_since(clock() - REVOCATION_MEMORY)
    return RevokedSessions(
        sessions={each: int((at + REVOCATION_MEMORY).timestamp()) + 1 for each, at in recent.items()}
    )
