"""Keeps the answers of targets that no service keeps, so that a repeated key has its first answer there, too."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import orjson
from redis.exceptions import RedisError
from sanic import HTTPResponse

from edge.exchange import Exchange, Operation, Target
from edge.rpc.failures import NotExecuted, OutcomeUnknown
from shared.contracts.refusals import KeyReused, StillRunning

if TYPE_CHECKING:
    from redis.asyncio import Redis

KEPT_SECONDS = 24 * 60 * 60
MARGIN_SECONDS = 5
"""Beyond the route's deadline: a mark that is older was left by a worker that died."""

PATIENCE_SECONDS = 1.0
LOOK_SECONDS = 0.05
"""So often a repetition looks whether the first run is done, and for so long, as in the services."""


async def answer_once(exchange: Exchange, operation: Operation, proceed: Target) -> HTTPResponse:
    """Run the target, unless this operation was answered before: then that answer again, byte for byte.

    One that still runs is waited for. What the edge refuses changed nothing and is judged anew. Raises
    :class:`KeyReused`, :class:`StillRunning`; :class:`NotExecuted` when Redis is away, for then the key cannot be
    honoured; and :class:`OutcomeUnknown` when it goes away meanwhile.
    """
    redis = exchange.equipment.collaborators.redis
    name = f"answer:{sha256(operation.id.encode()).hexdigest()}"
    mark = orjson.dumps({"fingerprint": operation.fingerprint})
    lease = int(exchange.matched.policy.deadline) + MARGIN_SECONDS
    earlier = await _earlier(redis, name, mark, lease)
    if earlier is not None:
        return _given(exchange, orjson.loads(earlier), operation)
    try:
        response = await proceed(exchange)
    except Exception:
        with suppress(RedisError, OSError):  # the mark ends by itself
            await redis.delete(name)
        raise
    try:
        await redis.set(name, _kept(response, operation), ex=KEPT_SECONDS)
    except (RedisError, OSError) as fault:
        raise OutcomeUnknown(f"the answer was not kept: {type(fault).__name__}") from None
    return response


async def _earlier(redis: Redis, name: str, mark: bytes, lease: int) -> bytes | None:
    """What is known of an earlier run, at last that it still runs; ``None`` when this one is the first."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            earlier = cast("bytes | None", await redis.set(name, mark, nx=True, get=True, ex=lease))
        except (RedisError, OSError) as fault:
            raise NotExecuted(f"answers cannot be kept: {type(fault).__name__}") from None
        if earlier != mark or time.monotonic() >= give_up_at:
            return earlier
        await asyncio.sleep(LOOK_SECONDS)


def _kept(response: HTTPResponse, operation: Operation) -> bytes:
    return orjson.dumps(
        {
            "fingerprint": operation.fingerprint,
            "status": response.status,
            "headers": list(response.headers.items()),
            "type": response.content_type,
            "body": (response.body or b"").decode(),
        }
    )


def _given(exchange: Exchange, kept: dict[str, Any], operation: Operation) -> HTTPResponse:
    if kept["fingerprint"] != operation.fingerprint:
        raise KeyReused
    if "status" not in kept:
        raise StillRunning(retry_after=1)
    exchange.replayed = True
    headers = dict(kept["headers"])
    return HTTPResponse(kept["body"], status=kept["status"], headers=headers, content_type=kept["type"])
