"""An identity service played by the test: it answers two calls over the broker, and tells of what ends."""

from __future__ import annotations

import json
import time
from typing import Any, Self

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage
from pamqp.commands import Basic

from shared.contracts.events import SESSION_REVOKED, SIGNING_KEYS_TURNED, USER_SESSIONS_REVOKED, EventType
from shared.contracts.exchanges import CALLS, calls_queue, events_of
from tests.builders.events import an_event_of

EVENTS = events_of("identity")
QUEUE = calls_queue("identity")
FORGET_AT = 2_000_000_000


class PlayedIdentity:
    """A context manager: within it somebody listens on identity's queue. What it knows outlives it."""

    def __init__(self, url: str, keys: list[dict[str, Any]]) -> None:
        self._url = url
        self._keys = keys
        self._sessions: dict[str, int] = {}
        self._users: dict[str, dict[str, Any]] = {}
        self._connection: AbstractConnection
        self._channel: AbstractChannel

    async def __aenter__(self) -> Self:
        self._connection = await aiormq.connect(self._url)
        self._channel = await self._connection.channel()
        for exchange in (CALLS, EVENTS):
            await self._channel.exchange_declare(exchange, exchange_type="topic", durable=True)
        await self._channel.queue_declare(QUEUE, auto_delete=True)
        await self._channel.queue_bind(QUEUE, CALLS, "identity.*")
        await self._channel.basic_consume(QUEUE, self._answer, no_ack=True)
        return self

    async def __aexit__(self, *_fault: object) -> None:
        await self._connection.close()

    async def end_session(self, session_id: str) -> None:
        self._sessions[session_id] = FORGET_AT
        await self._tell(SESSION_REVOKED, session_id=session_id, user_id="any", forget_at=FORGET_AT)

    async def end_all_of(self, user_id: str) -> None:
        ended = {"issued_before": int(time.time()) + 1, "kept_session_id": "", "forget_at": FORGET_AT}
        self._users[user_id] = ended
        await self._tell(USER_SESSIONS_REVOKED, user_id=user_id, **ended)

    async def turn_keys(self, keys: list[dict[str, Any]]) -> None:
        self._keys = keys
        await self._tell(SIGNING_KEYS_TURNED, key_ids=[key["kid"] for key in keys])

    async def _tell(self, kind: EventType, **data: Any) -> None:
        body = an_event_of(kind, "any", **data)
        await self._channel.basic_publish(body, exchange=EVENTS, routing_key=kind.name)

    async def _answer(self, message: DeliveredMessage) -> None:
        asked = message.header.properties
        known = {
            "identity.get_jwks": {"keys": self._keys},
            "identity.list_revoked_sessions": {"sessions": self._sessions, "users": self._users},
        }
        body = json.dumps({"result": known.get(str(message.delivery.routing_key)), "error": None}).encode()
        await self._channel.basic_publish(
            body,
            exchange=CALLS,
            routing_key=str(asked.reply_to),
            properties=Basic.Properties(content_type="application/json", correlation_id=asked.correlation_id),
        )
