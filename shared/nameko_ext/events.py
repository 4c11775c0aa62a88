"""The door of one kind of event: at least once delivered, in effect once handled, retried, and parked at last."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import eventlet
import msgspec
import structlog
from nameko import config
from nameko.exceptions import ContainerBeingKilled
from nameko.extensions import Entrypoint, register_entrypoint

from shared.contracts.events import Event, EventType
from shared.metrics.counting import handled, parked_from, redeliveries_of
from shared.nameko_ext import topology, wire
from shared.nameko_ext.broker import Broker
from shared.nameko_ext.consuming import Consumer, Delivery
from shared.nameko_ext.database import Database
from shared.nameko_ext.handling import Handling

log = structlog.get_logger()

MOST_AT_ONCE = 10

Function = TypeVar("Function", bound=Callable[..., Any])


class EventDoor(Entrypoint):
    """Consumes the handler's queue, named as stock Nameko would name it."""

    broker = Broker()

    def __init__(self, event_type: EventType) -> None:
        super().__init__()
        self.event_type = event_type
        self._is_leaving = False

    def setup(self) -> None:
        """Prepare the consumer."""
        service: str = self.container.service_name
        queue = topology.event_queue(self.event_type.service, self.event_type.name, service, self.method_name)
        self.queue = queue
        self.fates = handled(self.event_type.name)
        parked_from(service, queue.name)
        self.count_redelivery = redeliveries_of(service)
        self.consumer = Consumer(
            config["AMQP_URI"],
            queue.name,
            prefetch=min(MOST_AT_ONCE, config["PREFETCH_COUNT"]),
            declare=lambda channel: topology.declare_events(channel, queue),
            on_delivery=self.receive,
            name=f"{config.get('INSTANCE', service)} {queue.name}",
        )

    def start(self) -> None:
        """Begin to consume, as soon as the broker is there."""
        self.broker.tend(self.consumer.link)

    def stop(self) -> None:
        """Take no more, give back what waits; the broker's extension closes the link when all is done."""
        self._is_leaving = True
        self.consumer.cancel()
        for handling in self.container.waiting_for(self):
            self.container.withdraw(handling)
            handling.give_back()

    def keeps(self, delivery: Delivery) -> bool:
        """Whether an event may be kept for the end of an alarm of the broker's.

        Who leaves gives it back. When its connection has gone, somebody else is given it, and sees to it.
        """
        return not (self._is_leaving or delivery.is_lost)

    @property
    def database(self) -> Database | None:
        """Where the inbox is; a service without transactions handles events idempotently by itself."""
        found: Database | None = self.container.shared_extensions.get(Database)
        return found

    def receive(self, delivery: Delivery) -> None:
        """Read one event. Runs in the reading greenlet."""
        if delivery.redelivered:
            self.count_redelivery()
        try:
            event, data = self._read(delivery)
            table = wire.headers_of(delivery.properties)
            call = wire.read_call(table, method=self._method, redelivered=delivery.redelivered)
        except wire.Poison as poison:
            self._refuse(delivery, str(poison))
        except Exception as fault:
            log.exception("message.unreadable")
            self._refuse(delivery, f"unreadable: {type(fault).__name__}")
        else:
            self._admit(Handling(self, delivery, event, data, call))

    def _read(self, delivery: Delivery) -> tuple[Event, Any]:
        body = wire.read_body(delivery.properties, delivery.body)
        try:
            event = msgspec.convert(body, Event)
            if event.type != self.event_type.name:
                raise wire.Poison(f"an event of type {event.type[:60]!r}")
            return event, msgspec.convert(event.data, self.event_type.data)
        except msgspec.ValidationError as fault:
            raise wire.Poison(f"not this event: {str(fault)[:200]}") from None

    @property
    def _method(self) -> str:
        return f"{self.container.service_name}.{self.method_name}"

    def _admit(self, handling: Handling) -> None:
        try:
            self.container.admit(self, handling)
        except ContainerBeingKilled:
            handling.give_back()

    def _refuse(self, delivery: Delivery, reason: str) -> None:
        known = wire.known_ids(wire.headers_of(delivery.properties))
        log.warning("event.unreadable", type=self.event_type.name, reason=reason, **known)
        eventlet.spawn_n(self._park, delivery, reason)

    def _park(self, delivery: Delivery, reason: str) -> None:
        keeps = partial(self.keeps, delivery)
        is_ours = not delivery.is_lost
        if is_ours and self.broker.try_park(delivery, reason=reason, origin=self.queue.name, is_patient=keeps):
            delivery.ack()
            self.fates["parked"]()
        else:
            eventlet.sleep(1)
            delivery.requeue()


def on_event(event_type: EventType) -> Callable[[Function], Function]:
    """Make the function the handler of these events; it takes the envelope and the decoded data."""

    def register(function: Function) -> Function:
        register_entrypoint(function, EventDoor(event_type))
        return function

    return register


__all__ = ["EventDoor", "on_event"]
