"""What a service records of the calls and events that it runs, while somebody collects spans."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from msgspec.structs import replace

from shared.contracts import headers
from shared.contracts.events import Event
from shared.contracts.exchanges import events_of
from shared.contracts.method import Method
from shared.contracts.refusals import Internal, OutcomeUnknown, Refusal
from shared.messaging.call import Call
from shared.tracing import recording
from shared.tracing.recording import ERROR, Kind, Recorded, Value, part
from shared.tracing.spans import child_of, is_sampled, state_of

FAULTS = frozenset({Internal.code, OutcomeUnknown.code})
"""What is no refusal of the shop, but a failure to do the work."""


def ran(call: Call, code: str | None, started_ns: int) -> None:
    """A call was run. ``started_ns`` is a moment of ``perf_counter_ns``; ``code`` that of a refusal."""
    attributes: dict[str, Value] = {"rpc.system.name": "nameko", "rpc.method": call.method}
    if code is not None:
        attributes["rpc.response.status_code"] = code
    if code in FAULTS:
        attributes[ERROR] = code
    _record(call, "server", call.method, started_ns, attributes)


def handled(call: Call, event: Event, *, queue: str, started_ns: int, fault: str | None) -> None:
    """An event was handled, well or not."""
    attributes: dict[str, Value] = {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue,
        "messaging.rabbitmq.destination.routing_key": event.type,
        "messaging.message.id": event.event_id,
    }
    if fault is not None:
        attributes[ERROR] = fault
    _record(call, "consumer", f"process {event.type}", started_ns, attributes)


class asking:  # noqa: N801  # reads like the function it is used as
    """Record the block as a call to ``method``; ``call`` is what is to be sent, under the call's own span."""

    __slots__ = ("_span", "call")

    def __init__(self, onward: Call, method: Method) -> None:
        self._span = None
        self.call = onward
        if recording.active is None:
            return
        self._span = part(method.routing_key, {"rpc.system.name": "nameko", "rpc.method": method.routing_key})
        if self._span.own is not None and onward.traceparent is not None:
            state = state_of(onward.traceparent[36:52], onward.tracestate)
            self.call = replace(onward, traceparent=self._span.own, tracestate=state)

    def __enter__(self) -> Self:
        if self._span is not None:
            self._span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if self._span is None:
            return
        if isinstance(fault, Refusal):
            self._span.attributes["rpc.response.status_code"] = fault.code
            self._span.fault = fault.code if fault.code in FAULTS else ""
        self._span.__exit__(kind, fault, trace)


@contextmanager
def together(calls: Sequence[Call]) -> Iterator[None]:
    """Record the block as done for all of these."""
    if recording.active is None:
        yield
        return
    callers = [call.traceparent for call in calls if call.traceparent is not None]
    with part("load together", {"kirana.callers": len(callers)}, kind="internal", links=callers) as span:
        recording.here.set(span.own)
        yield


class Departure:
    """An event on its way to the broker; what handles it stands under this in the trace of the work that wrote it."""

    def __init__(self, row: Any) -> None:
        self._row = row
        self._began_ns = time.time_ns()
        writer = row.traceparent
        is_recorded = recording.active is not None and bool(writer) and is_sampled(writer)
        self._own = child_of(writer) if is_recorded else None

    def context(self) -> dict[str, str | None]:
        """What travels with it."""
        if self._own is None:
            return {headers.TRACEPARENT: self._row.traceparent}
        return {headers.TRACEPARENT: self._own, headers.TRACESTATE: state_of(self._row.traceparent[36:52])}

    def arrived(self, *, well: bool) -> None:
        """The broker has said what became of it, or nothing."""
        recorder, row = recording.active, self._row
        if self._own is None or recorder is None:
            return
        recorder.record(
            Recorded(
                name=f"send {row.type}",
                kind="producer",
                own=self._own,
                parent=row.traceparent,
                began_ns=self._began_ns,
                attributes={
                    "messaging.system": "rabbitmq",
                    "messaging.operation.name": "publish",
                    "messaging.operation.type": "send",
                    "messaging.destination.name": events_of(row.service),
                    "messaging.rabbitmq.destination.routing_key": row.type,
                    "messaging.message.id": row.event_id,
                },
                fault=None if well else "unconfirmed",
            )
        )


def _record(call: Call, kind: Kind, name: str, started_ns: int, attributes: dict[str, Value]) -> None:
    recorder, span = recording.active, call.span
    if recorder is None or span is None or not is_sampled(span.traceparent):
        return
    fault = attributes.pop(ERROR, None)
    ended_ns = time.time_ns()
    recorder.record(
        Recorded(
            name=name,
            kind=kind,
            own=span.traceparent,
            parent=span.caller,
            began_ns=ended_ns - (time.perf_counter_ns() - started_ns),
            ended_ns=ended_ns,
            attributes={**attributes, "kirana.request.id": call.request_id},
            fault=None if fault is None else str(fault),
        )
    )
