"""The edge's Redis: asked on the way of every request, so it answers within moments or is done without."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection

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
    return Redis.from_pool(pool)
