"""Takes calls from the service's queue, alone or framed, and gives each to its door; what is no call is put aside."""

from __future__ import annotations

from collections import Counter
from typing import Any

import eventlet
import structlog
from nameko import config
from nameko.exceptions import BadRequest, ContainerBeingKilled, MethodNotFound
from nameko.extensions import SharedExtension

from shared.contracts import frames
from shared.contracts.exchanges import calls_queue
from shared.metrics.counting import redeliveries_of
from shared.nameko_ext import outcomes, topology, wire
from shared.nameko_ext.broker import Broker
from shared.nameko_ext.consuming import Consumer, Delivery
from shared.nameko_ext.outcomes import Outcome
from shared.nameko_ext.recognising import recognisable
from shared.nameko_ext.replies import Replies
from shared.nameko_ext.serving import Job
from shared.nameko_ext.sources import Frame, Framed, Key, Lone, Source

log = structlog.get_logger()

LONGEST_NAME = 255
UNSPEAKABLE = "unreadable, and so is what is wrong with it"

PARKING_TRIES = 5
PARKING_PAUSE_SECONDS = 1.0
"""Before the second try; it doubles with each. A link is back in two seconds, a broker's alarm may last longer."""
PARKING_SHARE = 4
"""While the broker does not take what is to be parked, that holds at most one in so many of the messages taken in
advance. The rest are for good calls, and what is bad beyond is given up at once."""


class Requests(SharedExtension):
    """The one consumer of ``rpc-<service>``, shared by all doors of a container."""

    broker = Broker()

    def __init__(self) -> None:
        self._doors: dict[str, Any] = {}
        self._in_hand: dict[Key, Job] = {}
        self._unparked = 0
        self._most_unparked = 1
        self._is_parking_away = False
        self.counts: Counter[str] = Counter()

    def setup(self) -> None:
        """Prepare the consumer."""
        service: str = self.container.service_name
        self._service = service
        redeliveries_of(service)
        self._most_unparked = max(1, config["PREFETCH_COUNT"] // PARKING_SHARE)
        self.consumer = Consumer(
            config["AMQP_URI"],
            calls_queue(service),
            prefetch=config["PREFETCH_COUNT"],
            declare=lambda channel: topology.declare_rpc(channel, service),
            on_delivery=self.receive,
            on_open=lambda *opened: self.replies.open(*opened),  # noqa: PLW0108  # made below
            on_lost=lambda: self.replies.lost(),  # noqa: PLW0108  # made below
            name=f"{config.get('INSTANCE', service)} requests",
        )
        self.replies = Replies(self.consumer.link)

    def start(self) -> None:
        """Begin to consume, as soon as the broker is there."""
        self.container.spawn_managed_thread(self.consumer.link.run, identifier=self.consumer.link.name)

    def stop(self) -> None:
        """Nothing runs any more: leave the broker when the last answer is written."""
        self.replies.flush()
        self.consumer.link.close()

    def open_door(self, name: str, door: Any) -> None:
        """Calls of ``<service>.<name>`` go to this door."""
        self._doors[name] = door

    def drain(self) -> None:
        """Take no more, and give back what waits. What a worker has taken, and what shares its frame, runs on."""
        self.consumer.cancel()
        for door in self._doors.values():
            for job in self.container.waiting_for(door):
                if job.give_back():
                    self.container.withdraw(job)
                    self.finished(job)

    def receive(self, delivery: Delivery) -> None:
        """Sort one message. Runs in the reading greenlet."""
        if delivery.redelivered:
            redeliveries_of(self._service)()
        name = delivery.routing_key.removeprefix(f"{self._service}.")
        address = wire.read_address(delivery.properties)
        try:
            if address is None:
                raise wire.Poison("no usable reply_to")  # noqa: TRY301  # one place says what a fault means
            if name == frames.BATCH and frames.BATCH not in self._doors:
                self._receive_frame(delivery, address)
            else:
                self._receive_lone(name, delivery, address)
        except Exception as fault:  # noqa: BLE001  # nothing that comes over the wire may end the reading
            reason, outcome = _told_of(fault, delivery.routing_key, wire.headers_of(delivery.properties))
            eventlet.spawn_n(self._park_and_answer, delivery, address, reason, outcome)

    def finished(self, job: Job) -> None:
        """It was answered, or given back."""
        if self._in_hand.get(job.key) is job:
            del self._in_hand[job.key]

    def _receive_lone(self, name: str, delivery: Delivery, address: wire.ReplyAddress) -> None:
        door = self._door(name)
        asked = wire.read_request(
            delivery.properties, delivery.body, method=f"{self._service}.{name}", redelivered=delivery.redelivered
        )
        fields = door.name_arguments(asked.args, asked.kwargs)
        source = Lone(self.replies, delivery, address)
        call = recognisable(asked.call, door.method, source)
        self._admit(Job(self, door, source, call, lambda: door.read(fields)), source)

    def _receive_frame(self, delivery: Delivery, address: wire.ReplyAddress) -> None:
        wire.check_content(delivery.properties)
        calls = frames.read_calls(delivery.body)
        frame = Frame(self.replies, delivery, address, len(calls))
        bad: list[tuple[frames.FramedCall, str]] = []
        for call in calls:
            source = Framed(frame, call)
            try:
                job = self._read(call, source)
            except Exception as fault:  # noqa: BLE001  # a bad call harms none of those it came with
                reason, outcome = _told_of(fault, f"{self._service}.{call.method}", call.context)
                bad.append((call, reason))
                if len(bad) == 1:
                    frame.expect_one_more()
                source.answer(outcome, replayed=False)
            else:
                self._admit(job, source)
        if bad:
            eventlet.spawn_n(self._park_bad, frame, bad)

    def _read(self, call: frames.FramedCall, source: Source) -> Job:
        door = self._door(call.method)
        if door.method.operator_only:  # the broker lets only operators send such calls, but cannot see into frames
            raise MethodNotFound(call.method)
        asked = wire.read_call(call.context, method=f"{self._service}.{call.method}", redelivered=source.redelivered)
        asked = recognisable(asked, door.method, source)
        return Job(self, door, source, asked, lambda: door.read_json(call.kwargs))

    def _door(self, name: str) -> Any:
        door = self._doors.get(name)
        if door is None:
            raise MethodNotFound(name)
        return door

    def _admit(self, job: Job, source: Source) -> None:
        """Start it, unless a redelivery meets its own first run or what waits for it, which then answers for both."""
        first = self._in_hand.get(job.key) if source.redelivered else None
        if first is not None:
            first.join(source)
            return
        self._in_hand[job.key] = job
        try:
            self.container.admit(job.door, job)
        except ContainerBeingKilled:
            job.give_back()

    def _park_bad(self, frame: Frame, bad: list[tuple[frames.FramedCall, str]]) -> None:
        """Beside the answers that their callers get: alone, so that whoever looks sees what was wrong.

        But with their mates where they grow as we write them (1e15 becomes 1000000000000000.0): the broker may take
        no larger message than the one that came.
        """
        try:
            reason = bad[0][1] if len(bad) == 1 else f"{len(bad)} bad calls, the first: {bad[0][1]}"
            alone = frames.write_calls([call for call, _ in bad])
            body = alone if len(alone) <= len(frame.delivery.body) else None
            self._park(frame.delivery, reason, body, calls=len(bad))
        except Exception:  # one bad message must not end anything
            log.exception("message.not_parked")
        finally:
            frame.done_with_one()

    def _park_and_answer(
        self, delivery: Delivery, address: wire.ReplyAddress | None, reason: str, outcome: Outcome
    ) -> None:
        """The answer is first, as no caller waits for as long as parking may take."""
        try:
            if address is not None:
                self.replies.post(address, outcome)
            self._park(delivery, reason)
        except Exception:  # one bad message must not end anything
            log.exception("message.not_parked")
        finally:
            self.replies.settle(delivery)

    def _park(self, delivery: Delivery, reason: str, body: bytes | None = None, *, calls: int = 1) -> None:
        """What the broker never takes is given up: only what was wrong is lost, as its callers were told."""
        self._unparked += 1
        try:
            is_safe = self._park_in_the_end(delivery, reason, body)
        finally:
            self._unparked -= 1
        if not is_safe:
            self.counts["given_up"] += calls
            log.error("message.given_up", reason=reason, calls=calls, in_all=self.counts["given_up"])

    def _park_in_the_end(self, delivery: Delivery, reason: str, body: bytes | None) -> bool:
        """Gives whether it is parked, or comes again, as it is not acknowledged before.

        It is not put back: its mates may run, and it would come again at once, before all good calls. Nor may it wait
        for ever, or with too many others: each takes a place from other messages.
        """
        for attempt in range(PARKING_TRIES):
            if self._is_parking_away and self._unparked > self._most_unparked:
                break
            if attempt:
                eventlet.sleep(PARKING_PAUSE_SECONDS * 2 ** (attempt - 1))
            if delivery.is_lost:
                return True
            is_parked = self.broker.try_park(delivery, reason=reason, origin=calls_queue(self._service), body=body)
            self._is_parking_away = not is_parked and self.broker.publisher.link.is_open  # else it is back in a moment
            if is_parked:
                return True
        return delivery.is_lost


def _meaning_of(fault: Exception) -> tuple[str, Outcome]:
    """Why it is put aside, and what its caller is told."""
    match fault:
        case wire.Poison() | frames.NotAFrame():
            return str(fault), outcomes.malformed(str(fault))
        case BadRequest():
            return f"{type(fault).__name__}: {fault}", outcomes.stock_fault(fault)
    log.error("message.unreadable", exc_info=fault)
    return f"unreadable: {type(fault).__name__}", outcomes.malformed("unreadable")


def _told_of(fault: Exception, method: str, table: Any) -> tuple[str, Outcome]:
    """As :func:`_meaning_of` has it; writes the line by which whoever sent it finds what became of it, as no run will.

    Never raises: what a message holds stands in what is said of it, too.
    """
    try:
        reason, outcome = _meaning_of(fault)
        log.warning("rpc.call_unreadable", method=method[:LONGEST_NAME], reason=reason, **wire.known_ids(table))
    except Exception:
        log.exception("message.unreadable")
        return UNSPEAKABLE, outcomes.malformed(UNSPEAKABLE)
    return reason, outcome
