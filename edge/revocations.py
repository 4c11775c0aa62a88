"""Sessions that ended before their tokens did, pushed to every worker as it happens."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog
from aiormq.exceptions import AMQPError

from edge.rpc.calls import CallContext, Deadline
from edge.rpc.failures import CallFailure, RemoteRefusal
from shared.contracts.events import SESSION_REVOKED, Event, SessionRevoked
from shared.contracts.exchanges import events_of
from shared.contracts.identity import LIST_REVOKED_SESSIONS, RevokedSessions
from shared.values.identifiers import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiormq.abc import AbstractChannel, DeliveredMessage

    from edge.rpc.calls import Rpc
    from edge.rpc.link import Link

log = structlog.get_logger()

EXCHANGE = events_of(SESSION_REVOKED.service)
LOADING_SECONDS = 2.0
RETRY_SECONDS = 1.0
RELOAD_SECONDS = 60.0
"""A full look now and then costs little, and mends whatever an event alone could miss."""


class QueueLost(Exception):
    """The queue that brings the events is gone; a new one is needed."""


class Revocations(Protocol):
    """Answers whether a session has ended; never waits."""

    def is_revoked(self, session_id: str) -> bool:
        """Whether access tokens of this session count no more."""
        ...

    def add(self, session_id: str, forget_at: int) -> None:
        """Remember an ended session until ``forget_at`` (seconds since the epoch)."""
        ...


class EndedSessions:
    """The local table: session id to the time after which its tokens have expired anyway."""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._forget_at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._forget_at)

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


class RevocationFeed:
    """Keeps the table filled while a link lives: first listens, then asks identity for all, so that none slips by."""

    def __init__(self, sessions: EndedSessions, *, rpc: Rpc) -> None:
        self._sessions = sessions
        self._rpc = rpc

    async def follow(self, link: Link) -> None:
        """Run until the link or the queue is lost. Raises what the broker refuses, to be started again."""
        try:
            lost = (await self._listen(link)).closing
        except AMQPError:  # identity may never have run on this broker; what it knows can be asked for all the same
            await self._refresh()
            raise
        pause = 0.0
        while not (await asyncio.wait([lost], timeout=pause))[0]:
            pause = await self._refresh()
        raise QueueLost

    async def _refresh(self) -> float:
        self._sessions.forget_expired()
        try:
            await self.load()
        except (CallFailure, RemoteRefusal, msgspec.ValidationError) as fault:
            log.info("edge.revocations.not_loaded", reason=str(fault))
            return RETRY_SECONDS
        return RELOAD_SECONDS

    async def load(self) -> None:
        """Ask identity for every ended session that still matters."""
        context = CallContext(request_id=new_id(), deadline=Deadline.after(LOADING_SECONDS), route="revocations")
        reply = await self._rpc.call(LIST_REVOKED_SESSIONS, {}, context=context)
        for session_id, forget_at in msgspec.convert(reply.result, RevokedSessions).sessions.items():
            self._sessions.add(session_id, forget_at)

    async def take(self, message: DeliveredMessage) -> None:
        """Take one event in; one that cannot be read is logged and left to the next full look."""
        try:
            event = msgspec.json.decode(message.body, type=Event)
            ended = msgspec.convert(event.data, SessionRevoked)
        except msgspec.MsgspecError as fault:
            log.warning("edge.revocation.unreadable", reason=type(fault).__name__)
            return
        self._sessions.add(ended.session_id, ended.forget_at)

    async def _listen(self, link: Link) -> AbstractChannel:
        channel = await link.connection.channel(publisher_confirms=False)
        queue = (await channel.queue_declare("", exclusive=True, auto_delete=True)).queue or ""
        await channel.queue_bind(queue, EXCHANGE, SESSION_REVOKED.name)
        channel.on_consumer_cancel_callbacks.add(lambda _: channel.close())
        await channel.basic_consume(queue, self.take, no_ack=True, exclusive=True)
        return channel
