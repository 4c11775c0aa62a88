"""Binds what every log line of a piece of work must carry."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from shared.logs.context import bind_request
from shared.messaging.call import Call
from shared.tracing import recording
from shared.tracing.sampling import NEVER, decided
from shared.tracing.spans import begin, state_of


def run_of(call: Call, call_id_stack: Iterable[str] = (), *, is_tick: bool = False) -> Call:
    """The call as one run of it sees it: under a span of its own, which is the parent of all that it causes.

    A tick has one too, but is never recorded: nobody waits for it, and most find nothing to do.
    """
    span = begin(call.traceparent, call.tracestate)
    recorder = recording.active
    if recorder is not None and span.caller is None:
        span = decided(span, NEVER if is_tick else recorder)
    state = call.tracestate and state_of(None, call.tracestate)
    return replace(
        call, call_id_stack=tuple(call_id_stack), traceparent=span.traceparent, tracestate=state or None, span=span
    )


def bind_log_context(call: Call) -> None:
    """Request, user, trace and span, for this greenlet: each starts with an empty context."""
    known = {"http.request.id": call.request_id}
    if call.user_id:
        known["user.id"] = call.user_id
    if call.span is not None:
        known["trace.id"], known["span.id"] = call.span.trace_id, call.span.span_id
        if call.span.parent_id is not None:
            known["parent_span_id"] = call.span.parent_id
    bind_request(known)
    if recording.active is not None:
        recording.here.set(call.traceparent)
