"""The edge's Redis: asked on the way of every request, so it answers within moments or is done without."""

from __future__ import annotations

from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection

from shared.tracing import commands, recording

ANSWER_SECONDS = 0.2
"""For a Redis that hangs: a refused connection is known at once. It must outlast a busy moment of our own."""

CONNECTIONS = 32


def make_redis(url: str, *, patience: float = ANSWER_SECONDS) -> Redis:
    """A client whose calls raise within a moment; one retry replaces a connection that was lost.

    ``patience`` is in seconds, and is spent at most once on each of: waiting for a connection, making it, its answer.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=patience,
        socket_connect_timeout=patience,
        socket_timeout=patience,
        retry=Retry(NoBackoff(), 1, supported_errors=(LostConnection,)),
    )
    return TracedRedis.from_pool(pool)


class TracedRedis(Redis):
    """Records each command as a part of the request that sends it."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """As the client does."""
        if recording.active is None:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # it carries no types here
        with commands.command(args[0], self.connection_pool.connection_kwargs):
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # it carries no types here

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001, FBT002 - its own way
        """As the client gives it."""
        return _TracedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _TracedPipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - as above
        if recording.active is None:
            return await super().execute(raise_on_error)
        with commands.pipeline(len(self.command_stack), self.connection_pool.connection_kwargs):
            return await super().execute(raise_on_error)
