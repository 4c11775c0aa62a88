"""Sessions that ended before their tokens did, pushed to every worker as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Revocations(Protocol):
    """Answers whether a session has ended; never waits."""

    def is_revoked(self, session_id: str) -> bool:
        """Whether access tokens of this session count no more."""
        ...

    def add(self, session_id: str, forget_at: int) -> None:
        """Remember an ended session until ``forget_at`` (seconds since the epoch)."""
        ...


class RevokedSessions:
    """The local table: session id to the time after which its tokens have expired anyway."""

    def __init__(self, *, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._forget_at: dict[str, int] = {}

    def is_revoked(self, session_id: str) -> bool:
        """Whether access tokens of this session count no more."""
        return session_id in self._forget_at

    def add(self, session_id: str, forget_at: int) -> None:
        """Remember an ended session; the latest ``forget_at`` counts."""
        self._forget_at[session_id] = max(forget_at, self._forget_at.get(session_id, 0))

    def forget_expired(self) -> None:
        """Drop the sessions whose last access token has expired."""
        now = self._wall()
        self._forget_at = {session: at for session, at in self._forget_at.items() if at > now}
