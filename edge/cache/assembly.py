"""Puts a worker's cache together: its memory, the shared part, and its ear on the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.cache.answering import ResponseCache
from edge.cache.feed import PurgeFeed, PurgeTeller
from edge.cache.local import LocalStore
from edge.cache.shared import SharedStore

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from edge.rpc.connection import Broker
    from edge.settings import Settings


def make_cache(settings: Settings, *, redis: Redis | None, broker: Broker) -> ResponseCache:
    """A cache that hears every purge from the moment the broker's link opens."""
    cache = ResponseCache(
        local=LocalStore(settings.cache_bytes),
        shared=SharedStore(redis),
        tell=PurgeTeller(broker, instance=settings.instance).tell,
    )
    broker.follow(PurgeFeed(cache).follow)
    return cache
