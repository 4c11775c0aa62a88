"""The edge's Redis: asked on the way of every request, so it answers within moments or is done without."""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection

CONNECT_SECONDS = 0.2
"""A refused connection is known at once; this is for one that hangs, and must outlast a busy moment of our own."""

ANSWER_SECONDS = 0.2
CONNECTIONS = 32


def make_redis(url: str) -> Redis:
    """A client whose calls raise within a fraction of a second; one retry replaces a connection that was lost."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=ANSWER_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(LostConnection,)),
    )
    return Redis.from_pool(pool)
