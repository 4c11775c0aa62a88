"""What is true of accounts and sessions: who somebody is, what they may do, and when they must log in again."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import idna

from shared.contracts.mail_addresses import host_of

ACCESS_LIFE = timedelta(minutes=15)
SESSION_LIFE = timedelta(days=30)
REFRESH_GRACE = timedelta(seconds=30)
"""A client whose answer got lost, or whose second tab was late, gets the same successor this long."""

MOST_SESSIONS = 100
"""So many sessions of a user live at once, and all are listed: who opens one more ends the oldest."""

ENDED_AT_ONCE = 10
"""So many end at most for one that opens: a login stays cheap, and accounts that hold far more shrink all the same."""

REVOCATION_MEMORY = ACCESS_LIFE + timedelta(minutes=1)
"""After this no access token of an ended session can be alive; the minute is for clocks that differ."""


CLOCKS_DIFFER = timedelta(seconds=2)
"""By how much the clocks of identity's instances may; well within the 10 s that the edges grant a token's dates."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A person (or the shop's own staff) who can log in."""

    id: str
    username: str
    email: str = field(repr=False)
    first_name: str = ""
    last_name: str = ""
    phone_number: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ()
    password_hash: str = field(repr=False)
    is_disabled: bool = False

    @property
    def scope(self) -> str:
        """Scopes as RFC 9068 writes them."""
        return " ".join(self.scopes)


@dataclass(frozen=True, kw_only=True)
class Client:
    """A service or a partner that gets tokens in its own name. Of its secret only a digest is known."""

    id: str
    name: str
    scopes: tuple[str, ...]
    secret_digest: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Cutoff:
    """From when on the tokens of a subject (a user or a client) count: all sessions but one ended before.

    ``issued_before`` is in seconds since the epoch. Tokens tell time in whole seconds and the clocks of two instances
    differ, so it lies a little ahead of ``ended_at``, and whatever is issued meanwhile is dated on it.
    """

    subject: str
    ended_at: datetime
    issued_before: int
    kept_session_id: str = ""

    @property
    def forget_at(self) -> int:
        """After this (seconds since the epoch) no token it refuses can be alive."""
        return self.issued_before + int(REVOCATION_MEMORY.total_seconds())

    @classmethod
    def after(cls, earlier: Cutoff | None, subject: str, *, at: datetime, kept_session_id: str) -> Cutoff:
        """Always later than the one before, even within a second."""
        issued_before = int((at + CLOCKS_DIFFER).timestamp()) + 1
        if earlier is not None:
            issued_before = max(issued_before, earlier.issued_before + 1)
        return cls(subject=subject, ended_at=at, issued_before=issued_before, kept_session_id=kept_session_id)


@dataclass(frozen=True)
class Session:
    """One login and everything that was refreshed from it: the family of its refresh tokens."""

    id: str
    user_id: str
    expires_at: datetime
    revoked_at: datetime | None = None

    def has_ended(self, at: datetime) -> bool:
        """Whether nothing may be had from this session any more."""
        return self.revoked_at is not None or at >= self.expires_at


@dataclass(frozen=True)
class SpentToken:
    """A refresh token that was exchanged at ``spent_at``; ``salt`` leads to its one successor."""

    session: Session
    spent_at: datetime
    salt: bytes = field(repr=False)

    def is_replayed(self, at: datetime) -> bool:
        """Whether this comes too late to be an honest repetition."""
        return at - self.spent_at > REFRESH_GRACE


def new_session(session_id: str, user_id: str, at: datetime) -> Session:
    """A session that starts now."""
    return Session(session_id, user_id, at + SESSION_LIFE)


def scopes_within(wanted: str | None, allowed: Collection[str]) -> tuple[str, ...] | None:
    """The scopes that are asked for, or all that are allowed if none are; ``None`` if any is not among these."""
    names = tuple(dict.fromkeys((wanted or "").split()))
    if not names:
        return tuple(allowed)
    return names if set(names) <= set(allowed) else None


def sameness(name: str) -> str:
    """Two usernames with the same sameness are the same one, whatever their case."""
    return unicodedata.normalize("NFKC", name).casefold()


def sameness_of_address(address: str) -> str:
    """Two e-mail addresses with the same sameness are one mailbox, however their host is spelt.

    The host is written in its own script, as it was kept when addresses were still compared like names.
    """
    local, _, domain = address.rpartition("@")
    try:
        return f"{sameness(local)}@{idna.decode(host_of(domain))}"
    except ValueError:  # of old, or with hyphens where IDNA has its own: no two spellings of it are taken
        return sameness(address)
