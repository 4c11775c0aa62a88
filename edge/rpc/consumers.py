"""Knows which services have anybody listening, so that a call to nobody fails at once instead of at its deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity

from shared.contracts.exchanges import calls_queue
from shared.resilience.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiormq.abc import AbstractChannel

    from edge.rpc.link import Link

log = structlog.get_logger()

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
        self._presence = Presence(on_absence=on_absence, on_return=on_return)

    def count(self, service: str) -> int | None:
        """Instances listening, or ``None`` when not known."""
        return self._presence.seen.get(service)

    def absent(self, service: str) -> bool:
        """Whether it is known that nobody listens."""
        return self.count(service) == 0

    def note(self, service: str, consumers: int) -> None:
        """Take in what was seen; tells when a service is first seen on a link, has come back, or has gone."""
        self._presence.note(service, consumers)

    async def follow(self, link: Link) -> None:
        """Look every second (four times a second while one is absent), for as long as the link lives."""
        try:
            channel = await link.connection.channel(publisher_confirms=False)
            while True:
                for service in self._services:
                    channel = await self._look(link, channel, service)
                await asyncio.sleep(self._presence.pause)
        except TimeoutError:
            if not link.is_blocked:  # a blocked connection is not read, which says nothing of the link
                link.lose("the broker is silent")
            raise
        except ChannelAccessRefused:
            log.warning("rpc.consumers.forbidden")
        finally:
            for service in self._services:
                self._presence.forget(service)

    async def _look(self, link: Link, channel: AbstractChannel, service: str) -> AbstractChannel:
        try:
            found = await channel.queue_declare(calls_queue(service), passive=True, timeout=ASKING_SECONDS)
        except ChannelNotFoundEntity:
            self.note(service, 0)
            return await link.connection.channel(publisher_confirms=False)
        self.note(service, found.consumer_count or 0)
        return channel
