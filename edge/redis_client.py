"""The edge's Redis: asked on the way of every request, so it answers within moments or is done without."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import TimeoutError as NoAnswer

from shared.tracing import commands, recording

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER_SECONDS = 0.2
"""For a Redis that hangs: a refused connection is known at once. It must outlast a busy moment of our own."""

CONNECTIONS = 32


def make_redis(url: str, *, patience: float = ANSWER_SECONDS) -> PromptRedis:
    """A client whose calls raise within a moment; one retry replaces a connection that was lost.

    ``patience`` is in seconds, for all of a call: waiting for a connection, making it, asking and being answered.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=None,
        socket_connect_timeout=patience,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 1, supported_errors=(LostConnection,)),
    )
    return PromptRedis(pool, patience)


class PromptRedis(Redis):
    """Bounds the time of each call, and records it as a part of the request that makes it.

    The client's own ``socket_timeout`` sends by ``asyncio.wait_for``, which before Python 3.12 makes a task of every
    command and loses a cancellation that comes when it has just been sent
    (https://github.com/python/cpython/issues/86296).
    """

    def __init__(self, pool: BlockingConnectionPool, patience: float) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True  # the pool is this client's own, as with from_pool()
        self.patience = patience

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As the client does."""
        told = (
            nullcontext()
            if recording.active is None
            else commands.command(args[0], self.connection_pool.connection_kwargs)
        )
        with told:
            async with _within(self.patience):
                return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # it carries no types here

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002 - its own way
        """As the client gives it."""
        pipeline = _PromptPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.patience = self.patience
        return pipeline


class _PromptPipeline(Pipeline):
    patience = ANSWER_SECONDS

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - as above
        told = (
            nullcontext()
            if recording.active is None
            else commands.pipeline(len(self.command_stack), self.connection_pool.connection_kwargs)
        )
        with told:
            async with _within(self.patience):
                return await super().execute(raise_on_error)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise NoAnswer(f"no answer within {seconds} s") from None
