"""Finds the Redis server that keeps a cart: rendezvous hashing, so that a new server moves only its own share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, OutOfMemoryError, ReadOnlyError, RedisError
from redis.retry import Retry

from rpc_services.cart.traced_redis import TracedRedis
from shared.contracts.refusals import OutcomeUnknown, Unavailable

TIMEOUT_SECONDS = 1.0
AWAY = (redis.ConnectionError, redis.TimeoutError, OSError)
NOT_TAKING_WRITES = (BusyLoadingError, OutOfMemoryError, ReadOnlyError)


class Shards:
    """The Redis servers of the carts. Nothing is retried: a script that ran late could undo the journal."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._clients = {
            _name(url): TracedRedis.from_url(
                url,
                decode_responses=True,
                protocol=2,  # with 3 the client sees under eventlet no more that an idle connection was closed
                socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
            for url in urls
        }

    @property
    def clients(self) -> list[redis.Redis]:
        """One for each server."""
        return list(self._clients.values())

    def client_for(self, key: str) -> redis.Redis:
        """Where this key lives."""
        return self._clients[choose(key, list(self._clients))]

    def check(self) -> None:
        """Raise when a server does not answer."""
        for client in self._clients.values():
            client.ping()

    def close(self) -> None:
        """Let go of all connections."""
        for client in self._clients.values():
            client.close()


def choose(key: str, names: Sequence[str]) -> str:
    """The name with the highest score for this key."""
    return max(names, key=lambda name: blake2b(f"{name}\0{key}".encode(), digest_size=8).digest())


@contextmanager
def reaching(client: redis.Redis) -> Iterator[None]:
    """Within the block the server has been reached, so a fault there may come after the effect.

    Raises :class:`Unavailable` when it was not reached or takes no writes, :class:`OutcomeUnknown` when it fell silent.
    """
    pool = client.connection_pool
    try:
        pool.release(pool.get_connection())
    except (RedisError, OSError) as fault:
        raise Unavailable(retry_after=1) from fault
    try:
        yield
    except NOT_TAKING_WRITES as fault:
        raise Unavailable(retry_after=1) from fault
    except AWAY as fault:
        raise OutcomeUnknown from fault


def _name(url: str) -> str:
    """Server and database, without credentials: a new password moves no cart."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}/{parts.path.strip('/') or 0}"
