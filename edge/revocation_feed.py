"""Brings every worker what identity tells of ended sessions and turned keys, as it happens, and what it missed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import structlog
from aiormq.exceptions import AMQPError

from edge.rpc.calls import CallContext, Deadline
from edge.rpc.failures import CallFailure, RemoteRefusal
from shared.contracts.events import (
    SESSION_REVOKED,
    SIGNING_KEYS_TURNED,
    USER_SESSIONS_REVOKED,
    Event,
    SessionRevoked,
    SigningKeysTurned,
    UserSessionsRevoked,
)
from shared.contracts.exchanges import events_of
from shared.contracts.identity import LIST_REVOKED_SESSIONS, RevokedSessions, RevokedUser
from shared.values.identifiers import new_id

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, DeliveredMessage

    from edge.keys import KeyRing
    from edge.revocations import EndedSessions
    from edge.rpc.calls import Rpc
    from edge.rpc.link import Link

log = structlog.get_logger()

HEARD = (SESSION_REVOKED, USER_SESSIONS_REVOKED, SIGNING_KEYS_TURNED)
EXCHANGE = events_of(SESSION_REVOKED.service)
LOADING_SECONDS = 2.0
RETRY_SECONDS = 1.0
RELOAD_SECONDS = 60.0
"""A full look now and then costs little, and mends whatever an event alone could miss."""


class QueueLost(Exception):
    """The queue that brings the events is gone; a new one is needed."""


class RevocationFeed:
    """Keeps the table filled while a link lives: first listens, then asks identity for all, so that none slips by."""

    def __init__(self, sessions: EndedSessions, *, rpc: Rpc, keys: KeyRing | None = None) -> None:
        self._sessions = sessions
        self._rpc = rpc
        self._keys = keys
        self._turning: set[asyncio.Task[None]] = set()

    async def follow(self, link: Link) -> None:
        """Run until the link or the queue is lost. Raises what the broker refuses, to be started again."""
        try:
            lost = (await self._listen(link)).closing
        except AMQPError:  # identity may never have run on this broker; what it knows can be asked for all the same
            if await self._refresh():
                self._sessions.read_all()
            raise
        try:
            await self._hear(lost)
        finally:
            self._sessions.lose_touch()
        raise QueueLost

    async def load(self) -> None:
        """Ask identity for every end that still matters."""
        context = CallContext(request_id=new_id(), deadline=Deadline.after(LOADING_SECONDS), route="revocations")
        reply = await self._rpc.call(LIST_REVOKED_SESSIONS, {}, context=context)
        known = msgspec.convert(reply.result, RevokedSessions)
        for session_id, forget_at in known.sessions.items():
            self._sessions.add(session_id, forget_at)
        for user_id, revoked in known.users.items():
            self._sessions.add_user(user_id, revoked)

    async def take(self, message: DeliveredMessage) -> None:
        """Take one event in; one that cannot be read is logged and left to the next full look."""
        try:
            event = msgspec.json.decode(message.body, type=Event)
            self._take(event)
        except (msgspec.MsgspecError, ValueError, RecursionError) as fault:  # no UTF-8, or too deep
            log.warning("edge.revocation.unreadable", reason=type(fault).__name__)

    def _take(self, event: Event) -> None:
        if event.type == SESSION_REVOKED.name:
            ended = msgspec.convert(event.data, SessionRevoked)
            self._sessions.add(ended.session_id, ended.forget_at)
        elif event.type == USER_SESSIONS_REVOKED.name:
            user = msgspec.convert(event.data, UserSessionsRevoked)
            revoked = RevokedUser(
                issued_before=user.issued_before, kept_session_id=user.kept_session_id, forget_at=user.forget_at
            )
            self._sessions.add_user(user.user_id, revoked)
        elif event.type == SIGNING_KEYS_TURNED.name and self._keys is not None:
            turned = self._keys.turned(msgspec.convert(event.data, SigningKeysTurned).key_ids)
            task = asyncio.create_task(turned)  # the events behind this one need not wait for identity's answer
            self._turning.add(task)
            task.add_done_callback(self._turning.discard)

    async def _hear(self, lost: asyncio.Future[None]) -> None:
        pause, is_first = 0.0, True
        while not (await asyncio.wait([lost], timeout=pause))[0]:
            pause = RETRY_SECONDS
            if await self._refresh():
                self._sessions.hear_all()
                pause = RELOAD_SECONDS
            if is_first and self._keys is not None:
                await self._keys.refresh()  # they may have turned while nothing was heard
            is_first = False

    async def _refresh(self) -> bool:
        self._sessions.forget_expired()
        try:
            await self.load()
        except (CallFailure, RemoteRefusal, msgspec.ValidationError) as fault:
            log.info("edge.revocations.not_loaded", reason=str(fault))
            return False
        return True

    async def _listen(self, link: Link) -> AbstractChannel:
        channel = await link.connection.channel(publisher_confirms=False)
        queue = (await channel.queue_declare("", exclusive=True, auto_delete=True)).queue or ""
        for each in HEARD:
            await channel.queue_bind(queue, EXCHANGE, each.name)
        channel.on_consumer_cancel_callbacks.add(lambda _: channel.close())
        await channel.basic_consume(queue, self.take, no_ack=True, exclusive=True)
        return channel
