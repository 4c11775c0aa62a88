"""Runs the relay of a service's outbox, and gives doors the outbox to write to."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import eventlet
from nameko import config
from nameko.extensions import DependencyProvider

from shared.contracts.exchanges import events_of
from shared.messaging import outbox
from shared.nameko_ext.database import Database
from shared.nameko_ext.link import Link
from shared.nameko_ext.publishing import Publisher
from shared.nameko_ext.relay import Relay

LAST_BATCH_SECONDS = 3.0


class Outbox(DependencyProvider):
    """Injects :mod:`shared.messaging.outbox`; ``outbox.add(session, ...)`` is published right after the commit."""

    database = Database()

    def setup(self) -> None:
        """Prepare the relay's own link."""
        service: str = self.container.service_name
        self._publisher = Publisher(
            config["AMQP_URI"],
            f"{config.get('INSTANCE', service)} outbox",
            declare=lambda channel: channel.exchange_declare(
                events_of(service), "topic", durable=True, auto_delete=False
            ),
        )

    def start(self) -> None:
        """Begin to relay."""
        self._relay = Relay(
            self.database.engine,
            self.database.committed,
            self._publisher.publish,
            is_blocked=lambda: self._publisher.is_blocked,
            renew=self._publisher.link.renew,
        )
        self.container.spawn_managed_thread(self._publisher.link.run, identifier=self._publisher.link.name)
        self._running = self.container.spawn_managed_thread(self._relay.run, identifier="outbox relay")

    def stop(self) -> None:
        """Let the last batch finish, so that what was committed while draining is out."""
        self._relay.stop()
        with eventlet.Timeout(LAST_BATCH_SECONDS, exception=False):
            self._running.wait()
        self._publisher.link.close()

    @property
    def link(self) -> Link:
        """The relay's own."""
        return self._publisher.link

    @property
    def oldest_seconds(self) -> float | None:
        """The age of the oldest event that waits; ``None`` while another replica's relay leads."""
        return self._relay.oldest_seconds

    def get_dependency(self, worker_ctx: Any) -> ModuleType:
        """The functions of the outbox."""
        del worker_ctx
        return outbox
