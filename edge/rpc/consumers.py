"""Knows which services have anybody listening, so that a call to nobody fails at once instead of at its deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity

from shared.contracts.exchanges import calls_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiormq.abc import AbstractChannel

    from edge.rpc.link import Link

log = structlog.get_logger()

CALM_SECONDS = 1.0
ALERT_SECONDS = 0.25
ASKING_SECONDS = 2.0


class Consumers:
    """Consumers per service queue, as last seen; unknown until the first look on each link."""

    def __init__(
        self,
        services: Iterable[str],
        *,
        on_return: Callable[[str], None] = lambda _: None,
        on_absence: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._services = tuple(services)
        self._on_return = on_return
        self._on_absence = on_absence
        self._seen: dict[str, int] = {}

    def count(self, service: str) -> int | None:
        """Instances listening, or ``None`` when not known."""
        return self._seen.get(service)

    def absent(self, service: str) -> bool:
        """Whether it is known that nobody listens."""
        return self._seen.get(service) == 0

    def note(self, service: str, consumers: int) -> None:
        """Take in what was seen; tells when a service is first seen on a link, has come back, or has gone."""
        before = self._seen.get(service)
        self._seen[service] = consumers
        if before != consumers and 0 in {before, consumers}:
            log.info("rpc.consumers.changed", queue=calls_queue(service), consumers=consumers)
        if not before and consumers:
            self._on_return(service)
        if before != 0 and not consumers:
            self._on_absence(service)

    async def follow(self, link: Link) -> None:
        """Look every second (four times a second while one is absent), for as long as the link lives."""
        try:
            channel = await link.connection.channel(publisher_confirms=False)
            while True:
                for service in self._services:
                    channel = await self._look(link, channel, service)
                await asyncio.sleep(ALERT_SECONDS if 0 in self._seen.values() else CALM_SECONDS)
        except TimeoutError:
            if not link.is_blocked:  # a blocked connection is not read, which says nothing of the link
                link.lose("the broker is silent")
            raise
        except ChannelAccessRefused:
            log.warning("rpc.consumers.forbidden")
        finally:
            seen, self._seen = self._seen, {}
            for service in (service for service, consumers in seen.items() if not consumers):
                self._on_return(service)  # nobody knows any more, so it is to be tried

    async def _look(self, link: Link, channel: AbstractChannel, service: str) -> AbstractChannel:
        try:
            found = await channel.queue_declare(calls_queue(service), passive=True, timeout=ASKING_SECONDS)
        except ChannelNotFoundEntity:
            self.note(service, 0)
            return await link.connection.channel(publisher_confirms=False)
        self.note(service, found.consumer_count or 0)
        return channel
