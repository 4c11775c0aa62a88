"""Knows which sessions ended before their tokens did, and says so when it cannot know."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.claims import Caller
    from shared.contracts.identity import RevokedUser

log = structlog.get_logger()

DEAF_SECONDS = 120.0
"""So long tokens are judged by what was heard last while nothing is heard; then none is, until all is known again."""


class Revocations(Protocol):
    """Answers whether a caller's session has ended; never waits."""

    @property
    def is_complete(self) -> bool:
        """Whether every end is known here, or was until a moment ago. Otherwise no token can be judged."""
        ...

    def ended(self, caller: Caller) -> bool:
        """Whether this caller's access token counts no more."""
        ...

    def add(self, session_id: str, forget_at: int) -> None:
        """Remember an ended session until ``forget_at`` (seconds since the epoch)."""
        ...

    async def wait_until_complete(self, seconds: float) -> bool:
        """Wait so long at most; gives whether it is complete now."""
        ...


class EndedSessions:
    """The local table: sessions, and users whose earlier tokens all ended; each until those have expired anyway.

    It starts incomplete: nothing is let through for want of having asked.
    """

    def __init__(
        self, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._forget_at: dict[str, int] = {}
        self._users: dict[str, RevokedUser] = {}
        self._complete_until = -math.inf
        self._first = asyncio.Event()

    @property
    def counts(self) -> dict[str, int]:
        """How many ends of each kind are remembered."""
        return {"session": len(self._forget_at), "user": len(self._users)}

    @property
    def is_complete(self) -> bool:
        """As :class:`Revocations`."""
        until = self._complete_until
        return until == math.inf or self._monotonic() < until

    def is_revoked(self, session_id: str) -> bool:
        """Whether this very session has ended."""
        return session_id in self._forget_at

    def ended(self, caller: Caller) -> bool:
        """As :class:`Revocations`."""
        if caller.session_id in self._forget_at:
            return True
        user = self._users.get(caller.user_id)
        return user is not None and caller.issued_at < user.issued_before and caller.session_id != user.kept_session_id

    def add(self, session_id: str, forget_at: int) -> None:
        """Remember an ended session; the latest ``forget_at`` counts."""
        self._forget_at[session_id] = max(forget_at, self._forget_at.get(session_id, 0))

    def add_user(self, user_id: str, revoked: RevokedUser) -> None:
        """Remember that a user's earlier tokens ended; of several such ends the one that reaches furthest counts."""
        known = self._users.get(user_id)
        if known is None or revoked.issued_before > known.issued_before:
            self._users[user_id] = revoked

    def forget_expired(self) -> None:
        """Drop the sessions and users whose last such access token has expired."""
        now = self._wall()
        self._forget_at = {session: at for session, at in self._forget_at.items() if at > now}
        self._users = {user: revoked for user, revoked in self._users.items() if revoked.forget_at > now}

    def hear_all(self) -> None:
        """All that ended before is known, and whatever ends from now on will be heard."""
        self._complete_until = math.inf
        self._first.set()

    def read_all(self) -> None:
        """All that ended before is known, but nothing will be heard: it has to be read again and again."""
        self._complete_until = self._monotonic() + DEAF_SECONDS
        self._first.set()

    def lose_touch(self) -> None:
        """From now on something may end unheard."""
        self._complete_until = min(self._complete_until, self._monotonic() + DEAF_SECONDS)

    async def wait_until_complete(self, seconds: float) -> bool:
        """As :class:`Revocations`."""
        try:
            async with asyncio.timeout(seconds):
                await self._first.wait()
        except TimeoutError:
            log.warning("edge.revocations.unknown_at_start")
        return self.is_complete
