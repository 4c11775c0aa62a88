"""Hands recorded spans to OpenTelemetry, which sends them to a collector in batches; imported only where one is set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from threading import Timer
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shared.metrics.counting import spans_told
from shared.release import VERSION
from shared.tracing import recording
from shared.tracing.recording import ERROR, Recorded, Recorder
from shared.tracing.settings import TracingSettings

log = structlog.get_logger()

SCOPE: Final = "kirana"
QUEUE = 4096
BATCH = 128
"""Encoding a span takes 20 to 40 µs, during which nothing else runs in a process of greenlets: so few at a time."""

DELAY_MS = 1000
ANSWER_SECONDS = 2.0
LAST_SECONDS = 1.0
"""After which an answer that is awaited then is the last one asked for."""

MOST_LINKS = 1024
"""A frame has at most 256 calls, each of which several may wait for."""

_KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}
_CAUSED_ELSEWHERE = frozenset({"server", "consumer"})
_CERTAIN = TraceFlags(TraceFlags.SAMPLED)


class Tracing:
    """The recorder of this process, from now until :meth:`close`. Make it after a fork, and after eventlet has patched.

    ``give_up`` has the processor fail at once with what it still holds.
    """

    def __init__(
        self,
        resource: Mapping[str, str | int],
        processor: SpanProcessor,
        *,
        ratio: float = 1.0,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        self._give_up = give_up
        self._ids = _Given()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # whether a trace is recorded was decided where it began
            resource=Resource(resource),
            id_generator=self._ids,
            span_limits=SpanLimits(max_links=MOST_LINKS),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SCOPE, VERSION)
        self._recorder = Recorder(self.record, ratio)
        recording.use(self._recorder)

    def record(self, done: Recorded) -> None:
        """Pass a span on. Never waits for anything."""
        self._ids.next = _context_of(done.own)
        is_remote = done.kind in _CAUSED_ELSEWHERE
        span = self._tracer.start_span(
            done.name,
            context=_under(done.parent, is_remote=is_remote),
            kind=_KINDS[done.kind],
            attributes=done.attributes if done.fault is None else {**done.attributes, ERROR: done.fault},
            links=[Link(_context_of(link)) for link in done.links],
            start_time=done.began_ns,
        )
        if done.fault is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=max(done.began_ns, done.ended_ns))
        spans_told["recorded"]()

    def close(self) -> None:
        """Record no more, and send what waits; what the collector does not take within three seconds is lost."""
        if recording.active is self._recorder:
            recording.use(None)
        last_moment = Timer(LAST_SECONDS, self._give_up or _nothing)
        last_moment.start()
        try:
            self._provider.shutdown()
        finally:
            last_moment.cancel()


def start(settings: TracingSettings, *, service: str, instance: str, environment: str) -> Tracing:
    """Begin to send spans to the collector. It need not be there: spans wait for it, and the oldest are lost."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it reports each failure; the metrics count them
    exporter = _Counted(OTLPSpanExporter(endpoint=settings.endpoint, headers=settings.headers, timeout=ANSWER_SECONDS))
    processor = BatchSpanProcessor(
        exporter, max_queue_size=QUEUE, schedule_delay_millis=DELAY_MS, max_export_batch_size=BATCH
    )
    resource = resource_of(service=service, instance=instance, environment=environment)
    return Tracing(resource, processor, ratio=settings.ratio, give_up=exporter.shutdown)


def resource_of(*, service: str, instance: str, environment: str) -> dict[str, str | int]:
    """Which process tells the spans, in the words of OpenTelemetry's conventions."""
    return {
        "service.name": service,
        "service.namespace": SCOPE,
        "service.version": VERSION,
        "service.instance.id": instance,
        "deployment.environment.name": environment,
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": version("opentelemetry-sdk"),
    }


class _Given(IdGenerator):
    """Gives the ids that a span has already: log lines and other processes know it by them."""

    next: SpanContext = trace.INVALID_SPAN_CONTEXT

    def generate_span_id(self) -> int:
        return self.next.span_id

    def generate_trace_id(self) -> int:
        return self.next.trace_id


class _Counted(SpanExporter):
    """Counts what became of spans, and logs when that changes. What cannot be sent is lost: a trace is advice."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_taken: bool | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_taken = result is SpanExportResult.SUCCESS
        spans_told["exported" if is_taken else "lost"](len(spans))
        if is_taken != self._is_taken:
            self._is_taken = is_taken
            log.log(logging.INFO if is_taken else logging.WARNING, "tracing.exported" if is_taken else "tracing.lost")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _context_of(traceparent: str, *, is_remote: bool = False) -> SpanContext:
    trace_id, span_id = int(traceparent[3:35], 16), int(traceparent[36:52], 16)
    return SpanContext(trace_id, span_id, is_remote=is_remote, trace_flags=_CERTAIN)


def _under(parent: str | None, *, is_remote: bool) -> Context:
    if parent is None:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(_context_of(parent, is_remote=is_remote)), Context())


def _nothing() -> None:
    """What is held needs no giving up."""
