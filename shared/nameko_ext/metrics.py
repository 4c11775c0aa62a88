"""What a service's container keeps anyway, as metrics: read when somebody asks, so that a call pays nothing for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from shared.metrics import families
from shared.metrics.state import Seen, counted, sized
from shared.nameko_ext.asking import Asking
from shared.nameko_ext.broker import Broker
from shared.nameko_ext.events import EventDoor
from shared.nameko_ext.link import Link
from shared.nameko_ext.outbox import Outbox
from shared.nameko_ext.requests import Requests

SERVER = "server"
REPLY = "reply"


class ContainerState(Collector):
    """One service process, as it stands."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._service: str = container.service_name

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        yield counted(families.BROKER_CONNECTED, *(Seen((name,), link.is_open) for name, link in self._links()))
        yield from self._of_requests()
        if asking := self._container.shared_extensions.get(Asking):
            yield counted(families.LATE_REPLIES, Seen((), asking.late_replies))
        ages = [each.oldest_seconds for each in self._container.dependencies if isinstance(each, Outbox)]
        known = [Seen((self._service,), age) for age in ages if age is not None]
        yield counted(families.OUTBOX_OLDEST, *known)

    def _of_requests(self) -> Iterator[Metric]:
        requests = self._container.shared_extensions.get(Requests)
        if requests is None:
            return
        label, side = (self._service,), (self._service, SERVER)
        yield counted(families.IN_FLIGHT, Seen(side, self._container.running))
        yield counted(families.WAITING, Seen(side, self._container.waiting))
        yield counted(families.REPLIES_DROPPED, Seen(label, requests.replies.counts["dropped"]))
        yield sized(families.BATCH_SIZE, [((self._service, REPLY), requests.replies.frame_sizes)])

    def _links(self) -> Iterator[tuple[str, Link]]:
        """Each link by what it is for."""
        shared = self._container.shared_extensions
        if requests := shared.get(Requests):
            yield "requests", requests.consumer.link
        if broker := shared.get(Broker):
            yield "publisher", broker.publisher.link
        if asking := shared.get(Asking):
            yield "asking", asking.link
        for each in self._container.dependencies:
            if isinstance(each, Outbox):
                yield "outbox", each.link
        for each in self._container.entrypoints:
            if isinstance(each, EventDoor):
                yield each.method_name, each.consumer.link
