"""Hears what changed in the shop and what an administrator purged, and tells the other workers of the latter."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import structlog
from pamqp.commands import Basic

from edge.cache.plan import EVERYTHING
from edge.rpc.failures import Blame, NotExecuted
from edge.rpc.link import LINK_ERRORS
from shared.contracts.events import (
    CACHE_PURGED,
    ORDER_PLACED,
    PRODUCT_CHANGED,
    SIGNING_KEYS_TURNED,
    CachePurged,
    Event,
    OrderPlaced,
    ProductChanged,
)
from shared.contracts.exchanges import events_of
from shared.values.identifiers import new_id
from shared.values.times import now, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiormq.abc import AbstractChannel, DeliveredMessage

    from edge.cache.answering import ResponseCache
    from edge.rpc.connection import Broker
    from edge.rpc.link import Link

log = structlog.get_logger()

HEARD = (PRODUCT_CHANGED, ORDER_PLACED, SIGNING_KEYS_TURNED, CACHE_PURGED)
TELLING_SECONDS = 1.0
UNREADABLE = "unreadable"


class PurgesLost(Exception):
    """The queue that brings the events is gone; a new one is needed."""


class PurgeFeed:
    """Each worker has a queue of its own, for as long as its link lives; what came meanwhile is lost.

    So whenever it listens anew, older answers are from then on only better than nothing.
    """

    def __init__(self, cache: ResponseCache) -> None:
        self._cache = cache

    async def follow(self, link: Link) -> None:
        """Run until the link or the queue is lost. Raises what the broker refuses, to be started again."""
        channel = await self._listen(link)
        self._cache.distrust()
        log.info("edge.cache.listening")
        await asyncio.wait([channel.closing])
        raise PurgesLost

    async def take(self, message: DeliveredMessage) -> None:
        """Purge what this event makes old; of one that cannot be read nobody knows what it meant, so everything."""
        try:
            event = msgspec.json.decode(message.body, type=Event)
            tags, name = tags_of(event), event.type
        except (msgspec.MsgspecError, ValueError, RecursionError) as fault:  # no UTF-8, or too deep
            log.warning("edge.cache.event_unreadable", reason=type(fault).__name__)
            tags, name = {EVERYTHING}, UNREADABLE
        if tags:
            await self._cache.purge(tags, by=name)

    async def _listen(self, link: Link) -> AbstractChannel:
        channel = await link.connection.channel(publisher_confirms=False)
        queue = (await channel.queue_declare("", exclusive=True, auto_delete=True)).queue or ""
        for each in HEARD:
            await channel.queue_bind(queue, events_of(each.service), each.name)
        channel.on_consumer_cancel_callbacks.add(lambda _: channel.close())
        await channel.basic_consume(queue, self.take, no_ack=True, exclusive=True)
        return channel


class PurgeTeller:
    """Tells every worker of every edge to purge."""

    def __init__(self, broker: Broker, *, instance: str) -> None:
        self._broker = broker
        self._instance = instance
        self._told = 0

    async def tell(self, tags: Collection[str]) -> None:
        """Returns when the broker has it. Raises ``NotExecuted`` otherwise: some may not have heard."""
        link = self._broker.link()
        try:
            async with asyncio.timeout(TELLING_SECONDS):
                channel = await link.connection.channel(publisher_confirms=True)
                try:
                    await channel.basic_publish(
                        self._event(tags),
                        exchange=events_of(CACHE_PURGED.service),
                        routing_key=CACHE_PURGED.name,
                        properties=Basic.Properties(content_type="application/json"),
                    )
                finally:
                    with suppress(*LINK_ERRORS):
                        await channel.close()
        except LINK_ERRORS as fault:
            raise NotExecuted(f"the other workers could not be told: {fault!r}", blame=Blame.BROKER) from None

    def _event(self, tags: Collection[str]) -> bytes:
        self._told += 1
        return msgspec.json.encode(
            Event(
                event_id=new_id(),
                type=CACHE_PURGED.name,
                version=CACHE_PURGED.version,
                occurred_at=to_rfc3339(now()),
                aggregate_id=f"edge/{self._instance}",
                sequence=self._told,
                request_id="",
                data={"tags": sorted(tags)},
            )
        )


def tags_of(event: Event) -> set[str]:
    """What this event makes old. Raises ``msgspec.ValidationError`` for one that is not as its contract says.

    A product that changes may enter or leave any list. An order changes the stock of what it took and no list's order,
    so lists may tell of stock as old as their ``ttl``.
    """
    if event.type == PRODUCT_CHANGED.name:
        changed = msgspec.convert(event.data, ProductChanged)
        return {f"product:{changed.product_id}", f"category:{changed.category_id}", "products", "categories"}
    if event.type == ORDER_PLACED.name:
        return {f"product:{line.product_id}" for line in msgspec.convert(event.data, OrderPlaced).lines}
    if event.type == SIGNING_KEYS_TURNED.name:
        return {"jwks"}
    if event.type == CACHE_PURGED.name:
        return set(msgspec.convert(event.data, CachePurged).tags)
    return set()
