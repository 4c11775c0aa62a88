"""Handles one event: inbox row and effect in one transaction, ack after commit, else up the ladder, else parking."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import eventlet
import structlog
from eventlet import Timeout
from eventlet.support.greenlets import GreenletExit
from msgspec.structs import replace

from shared.contracts import parked
from shared.contracts.events import Event
from shared.contracts.refusals import NOT_ANSWERS, Refusal
from shared.messaging import inbox
from shared.messaging.call import Call, current, serving
from shared.nameko_ext import topology, tracing
from shared.nameko_ext.broker import message_like
from shared.nameko_ext.container import Work
from shared.nameko_ext.context import bind_log_context, run_of
from shared.nameko_ext.publishing import NotConfirmed
from shared.nameko_ext.reasons import reason_of
from shared.tracing import recording
from shared.values.identifiers import is_sane_token

if TYPE_CHECKING:
    from shared.nameko_ext.consuming import Delivery
    from shared.nameko_ext.events import EventDoor

log = structlog.get_logger()

LONGEST_HANDLING = timedelta(seconds=30)
MOST_OUTAGE_ATTEMPTS = 100  # at 30 s each: somebody else's outage may last most of an hour before an event is parked


class HandlingTimedOut(Exception):
    """The handler was stopped."""


class Handling(Work):
    """One event in our hands."""

    def __init__(self, door: EventDoor, delivery: Delivery, event: Event, data: Any, call: Call) -> None:
        self._door = door
        self._delivery = delivery
        self._event = event
        self._data = data
        self._call = call

    def give_back(self) -> None:
        """Not started: another replica may have it."""
        self._delivery.requeue()

    def run(self, worker_ctx: Any, invoke: Callable[..., Any]) -> None:
        """Handle it."""
        event_request = self._event.request_id
        request_id = event_request if is_sane_token(event_request) else self._call.request_id
        run = run_of(self._call, worker_ctx.call_id_stack)
        call = replace(run, request_id=request_id, deadline=None, operation_id=None, fingerprint=None)
        bind_log_context(call)
        with serving(call):
            self._handle(invoke)

    def _handle(self, invoke: Callable[..., Any]) -> None:
        started = time.perf_counter_ns()
        fault = self._attempt(invoke)
        if fault is None:
            self._delivery.ack()
            self._door.fates["handled"]()
        else:
            self._put_off(fault)
        if recording.active is not None:
            name = None if fault is None else _name(fault)
            queue = self._door.queue.name
            tracing.handled(current(), self._event, queue=queue, started_ns=started, fault=name)
        log.info(
            "event.handled",
            type=self._event.type,
            event_id=self._event.event_id,
            fault=None if fault is None else _name(fault),
            reason=reason_of(fault) if isinstance(fault, Refusal) else None,
            redelivered=self._call.redelivered,
            **{
                "event.duration": time.perf_counter_ns() - started,
                "event.outcome": "success" if fault is None else "failure",
            },
        )

    def _attempt(self, invoke: Callable[..., Any]) -> BaseException | None:
        try:
            with Timeout(LONGEST_HANDLING.total_seconds(), HandlingTimedOut()):
                self._once(invoke)
        except GreenletExit:
            raise
        except Refusal as refusal:
            return refusal
        except BaseException as fault:
            log.exception("event.failed", type=self._event.type, event_id=self._event.event_id)
            return fault
        return None

    def _once(self, invoke: Callable[..., Any]) -> None:
        database = self._door.database
        if database is None:
            invoke(self._event, self._data)
            return
        with database.scope.writing() as session:
            if inbox.claim(session, consumer=self._door.queue.name, event_id=self._event.event_id):
                invoke(self._event, self._data)

    def _put_off(self, fault: BaseException) -> None:
        """Up the ladder, or into parking. It is kept until an alarm of the broker's is over, unless the service leaves.

        What is given back six times is parked by the broker, and no alarm asks how long it may be.
        """
        headers = dict(self._delivery.properties.get("application_headers") or {})
        attempt = _count(headers.get(parked.ATTEMPT))
        delay_ms = next_delay_ms(attempt, is_outage=isinstance(fault, NOT_ANSWERS))
        try:
            if delay_ms is None:
                self._park(f"failed {attempt + 1} times, last with {_name(fault)}")
            else:
                self._send_up({parked.ATTEMPT: attempt + 1, **_plain(headers)}, delay_ms)
        except NotConfirmed as lost:
            log.warning("event.not_put_off", event_id=self._event.event_id, reason=str(lost))
            eventlet.sleep(1)
            self._delivery.requeue()
            self._door.fates["requeued"]()
        else:
            self._delivery.ack()
            self._door.fates["parked" if delay_ms is None else "put_off"]()

    def _park(self, reason: str) -> None:
        self._must_be_ours()
        broker, origin = self._door.broker, self._door.queue.name
        broker.park(self._delivery, reason=reason, origin=origin, is_patient=self._is_kept)

    def _send_up(self, headers: dict[str, Any], delay_ms: int) -> None:
        self._must_be_ours()
        again = message_like(self._delivery.properties, self._delivery.body, headers)
        key = self._door.queue.retry_name(delay_ms)
        self._door.broker.publisher.deliver(again, exchange="", routing_key=key, is_patient=self._is_kept)

    def _must_be_ours(self) -> None:
        """Raises :class:`NotConfirmed` when its connection has gone: a copy of it would come beside it."""
        if self._delivery.is_lost:
            raise NotConfirmed("it is somebody else's by now")

    def _is_kept(self) -> bool:
        return self._door.keeps(self._delivery)


def next_delay_ms(attempt: int, *, is_outage: bool) -> int | None:
    """How long an event waits after its failure number ``attempt`` (from 0); ``None`` means parking."""
    ladder = topology.RETRY_DELAYS_MS
    if attempt < len(ladder):
        return ladder[attempt]
    if is_outage and attempt < MOST_OUTAGE_ATTEMPTS:
        return ladder[-1]
    return None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _plain(headers: dict[str, Any]) -> dict[str, Any]:
    """What is ours: broker headers such as ``x-death`` grow with each round and mean nothing on a fresh message."""
    return {name: value for name, value in headers.items() if name.startswith("nameko.")}


def _name(fault: BaseException) -> str:
    return fault.code if isinstance(fault, Refusal) else type(fault).__name__
