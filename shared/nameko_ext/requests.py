"""Takes requests from the service's queue and gives each to its door; what is no request goes to parking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import eventlet
import structlog
from nameko import config
from nameko.exceptions import BadRequest, ContainerBeingKilled, MethodNotFound
from nameko.extensions import SharedExtension

from shared.contracts.exchanges import calls_queue
from shared.nameko_ext import topology, wire
from shared.nameko_ext.broker import Broker
from shared.nameko_ext.consuming import Consumer, Delivery
from shared.nameko_ext.serving import Asked, Job

log = structlog.get_logger()


class Requests(SharedExtension):
    """The one consumer of ``rpc-<service>``, shared by all doors of a container."""

    broker = Broker()

    def __init__(self) -> None:
        self._doors: dict[str, Any] = {}
        self._waiting: set[Job] = set()
        self._in_hand: dict[wire.ReplyAddress, Job] = {}

    def setup(self) -> None:
        """Prepare the consumer."""
        service: str = self.container.service_name
        self._service = service
        self.consumer = Consumer(
            config["AMQP_URI"],
            calls_queue(service),
            prefetch=config["PREFETCH_COUNT"],
            declare=lambda channel: topology.declare_rpc(channel, service),
            on_delivery=self.receive,
            name=f"{config.get('INSTANCE', service)} requests",
        )

    def start(self) -> None:
        """Begin to consume, as soon as the broker is there."""
        self.container.spawn_managed_thread(self.consumer.link.run, identifier=self.consumer.link.name)

    def stop(self) -> None:
        """Nothing runs any more: leave the broker."""
        self.consumer.link.close()

    def open_door(self, name: str, door: Any) -> None:
        """Calls of ``<service>.<name>`` go to this door."""
        self._doors[name] = door

    def drain(self) -> None:
        """Take no more, and give back at once what waits for a worker. What runs, runs on."""
        self.consumer.cancel()
        for job in list(self._waiting):
            self._waiting.discard(job)
            self.finished(job)
            job.give_back()

    def receive(self, delivery: Delivery) -> None:
        """Sort one message. Runs in the reading greenlet."""
        address = wire.read_address(delivery.properties)
        try:
            job = self._read(delivery, address)
        except wire.Poison as poison:
            self._put_aside(delivery, address, str(poison), wire.malformed(str(poison)))
        except BadRequest as fault:
            self._put_aside(delivery, address, f"{type(fault).__name__}: {fault}", wire.stock_error(fault))
        except Exception as fault:
            log.exception("message.unreadable")
            self._put_aside(delivery, address, f"unreadable: {type(fault).__name__}", wire.malformed("unreadable"))
        else:
            self._admit(job)

    def started(self, job: Job) -> None:
        """A worker has taken it up."""
        self._waiting.discard(job)

    def finished(self, job: Job) -> None:
        """It was answered and settled, or given back."""
        if self._in_hand.get(job.address) is job:
            del self._in_hand[job.address]

    def _read(self, delivery: Delivery, address: wire.ReplyAddress | None) -> Job:
        if address is None:
            raise wire.Poison("no reply_to")
        name = delivery.routing_key.removeprefix(f"{self._service}.")
        door = self._doors.get(name)
        if door is None:
            raise MethodNotFound(name)
        asked = wire.read_request(
            delivery.properties,
            delivery.body,
            method=f"{self._service}.{name}",
            redelivered=delivery.redelivered,
        )
        fields = door.name_arguments(asked.args, asked.kwargs)
        return Job(self, door, delivery, address, Asked(asked.call, fields))

    def _admit(self, job: Job) -> None:
        """Start it, unless a redelivery meets its own first run or what waits for it, which then answers for both."""
        first = self._in_hand.get(job.address) if job.delivery.redelivered else None
        if first is not None:
            first.delivery = job.delivery
            return
        if job.address.correlation_id:
            self._in_hand[job.address] = job
        self._waiting.add(job)
        if self.container._worker_pool.free() > 0:  # noqa: SLF001  # Nameko has no other word for it
            self._spawn(job)
        else:
            eventlet.spawn_n(self._spawn, job)

    def _spawn(self, job: Job) -> None:
        try:
            self.container.spawn_worker(job.door, (), {}, context_data=job.context_data(), handle_result=job)
        except ContainerBeingKilled:
            job.give_back()

    def _put_aside(
        self, delivery: Delivery, address: wire.ReplyAddress | None, reason: str, error: Mapping[str, Any]
    ) -> None:
        eventlet.spawn_n(self._park_and_answer, delivery, address, reason, error)

    def _park_and_answer(
        self, delivery: Delivery, address: wire.ReplyAddress | None, reason: str, error: Mapping[str, Any]
    ) -> None:
        try:
            parked = self.broker.try_park(
                delivery.properties, delivery.body, reason=reason, origin=calls_queue(self._service)
            )
            if not parked:
                eventlet.sleep(1)
                delivery.requeue()
                return
            if address is not None:
                self.broker.replies.send(address, wire.error_body(error))
            delivery.ack()
        except Exception:  # one bad message must not end anything
            log.exception("message.not_parked")
            delivery.requeue()
