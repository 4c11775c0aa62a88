import time

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.settings.reader import BadSettings, Reader
from shared.tracing import commands, recording
from shared.tracing.exporting import Tracing, resource_of, start
from shared.tracing.framing import framed
from shared.tracing.processes import begin_recording
from shared.tracing.recording import UNRECORDED, Recorder, part
from shared.tracing.sampling import NEVER, decided
from shared.tracing.settings import TracingSettings, read_tracing_settings
from shared.tracing.spans import begin, is_sampled
from tests.builders.collector import Collector
from tests.builders.waiting import eventually


@pytest.fixture
def told():
    """What is recorded here, as OpenTelemetry has it."""
    memory = InMemorySpanExporter()
    tracing = Tracing(resource_of(service="s", instance="s-1", environment="test"), SimpleSpanProcessor(memory))
    try:
        yield memory.get_finished_spans
    finally:
        tracing.close()
        recording.here.set(None)


@pytest.fixture
def work():
    span = begin(None)
    token = recording.here.set(span.traceparent)
    yield span
    recording.here.reset(token)


def id_of(span):
    return f"{span.context.span_id:016x}"


def test_a_part_stands_under_its_work_with_the_ids_that_travelled(told, work):
    with part("GET", {"a": 1}) as span:
        span.attributes["b"] = "x"

    (seen,) = told()
    assert id_of(seen) == span.own[36:52]
    assert f"{seen.context.trace_id:032x}" == work.trace_id
    assert f"{seen.parent.span_id:016x}" == work.span_id
    assert dict(seen.attributes) == {"a": 1, "b": "x"}
    assert seen.start_time <= seen.end_time <= time.time_ns()


def test_a_part_that_raises_is_a_fault_unless_it_says_that_it_is_none(told, work):
    for excuse in (None, ""):
        span = part("GET", {})
        span.fault = excuse
        with pytest.raises(KeyError), span:
            raise KeyError

    assert [seen.attributes.get("error.type") for seen in told()] == ["KeyError", None]
    assert [seen.status.is_ok for seen in told()] == [False, True]


def test_what_is_done_for_many_stands_in_the_first_recorded_trace_and_links_to_all(told):
    unrecorded, first, second = begin("00-" + "a" * 32 + "-" + "b" * 16 + "-00"), begin(None), begin(None)
    callers = [each.traceparent for each in (unrecorded, first, second)]

    with framed(callers, "catalog.batch", "m-1"):
        pass

    (seen,) = told()
    assert f"{seen.context.trace_id:032x}" == first.trace_id
    assert [f"{link.context.span_id:016x}" for link in seen.links] == [each[36:52] for each in callers]
    assert seen.attributes["messaging.batch.message_count"] == 3


def test_nothing_is_recorded_outside_of_any_work_or_of_a_trace_that_is_not(told):
    with part("GET", {}) as outside:
        pass
    recording.here.set("00-" + "a" * 32 + "-" + "b" * 16 + "-00")
    with part("GET", {}) as unsampled:
        pass

    assert (outside.own, unsampled.own, told()) == (None, None, ())


def test_without_a_recorder_a_part_costs_nothing_and_changes_nothing(work):
    with part("GET", {}) as span:
        assert span.own is None
    assert framed([], "catalog.batch", "m-1") is UNRECORDED


def test_a_command_is_told_without_its_keys_and_an_unknown_script_is_no_fault(told, work):
    class NoScriptError(Exception):
        pass

    with commands.command("get", {"host": "h", "port": 1, "db": 2}):
        pass
    with pytest.raises(NoScriptError), commands.command("EVALSHA", {"path": "/s"}):
        raise NoScriptError
    with commands.pipeline(3, {}):
        pass

    get, script, several = told()
    assert dict(get.attributes) == {
        "db.system.name": "redis", "db.namespace": "2", "server.address": "h", "server.port": 1,
        "db.operation.name": "GET",
    }  # fmt: skip
    assert script.status.is_ok
    assert several.attributes["db.operation.batch.size"] == 3


@pytest.mark.parametrize(("ratio", "low", "high"), [(0.0, 0, 0), (1.0, 1000, 1000), (0.5, 300, 700)])
def test_as_many_traces_as_asked_for_are_recorded(ratio, low, high):
    recorder = Recorder(lambda _: None, ratio)

    chosen = sum(is_sampled(decided(begin(None), recorder).traceparent) for _ in range(1000))

    assert low <= chosen <= high
    assert not is_sampled(decided(begin(None), NEVER).traceparent)


def test_a_collector_is_found_by_its_base_or_its_full_address_and_its_key_is_no_secret_told():
    settings = read_tracing_settings(
        Reader({"KIRANA_OTLP_ENDPOINT": "http://c:4318/", "KIRANA_OTLP_HEADERS": "Authorization=Bearer%20abc, x=1"})
    )

    assert settings.endpoint == "http://c:4318/v1/traces"
    assert settings.headers == {"authorization": "Bearer abc", "x": "1"}
    assert "abc" not in repr(settings)
    assert read_tracing_settings(Reader({})) is None
    full = read_tracing_settings(Reader({"KIRANA_OTLP_ENDPOINT": "https://c/otlp/v1/traces"}))
    assert full.endpoint == "https://c/otlp/v1/traces"


def test_every_fault_of_the_settings_is_named():
    reader = Reader({"KIRANA_OTLP_ENDPOINT": "c:4318", "KIRANA_OTLP_HEADERS": "x", "KIRANA_TRACE_RATIO": "2"})
    read_tracing_settings(reader)

    with pytest.raises(BadSettings) as bad:
        reader.finish()
    assert len(bad.value.faults) == 3


def test_where_no_collector_is_set_nothing_is_begun():
    assert begin_recording(None, service="s", instance="s-1", environment="test") is None
    assert recording.active is None


def test_the_end_of_a_process_sends_what_waits_and_records_no_more(work):
    with Collector() as collector:
        tracing = start(TracingSettings(f"{collector.url}/v1/traces"), service="s", instance="s-1", environment="test")
        with part("GET", {}) as span:
            pass
        tracing.close()

        assert [each.span_id for each in collector.spans] == [span.own[36:52]]
        assert recording.active is None


@pytest.mark.parametrize("trouble", ["hangs", "refuses", "is away"])
def test_a_collector_in_trouble_holds_neither_work_nor_the_end_up(work, trouble):
    with Collector() as collector:
        settings = TracingSettings(
            "http://127.0.0.1:9/v1/traces" if trouble == "is away" else f"{collector.url}/v1/traces"
        )
        collector.status = 503 if trouble == "refuses" else 200
        if trouble == "hangs":
            collector.free.clear()
        tracing = start(settings, service="s", instance="s-1", environment="test")
        for _ in range(6000):  # more than wait at most
            with part("GET", {}):
                pass
        began = time.monotonic()
        tracing.close()

        assert time.monotonic() - began < 20


def test_a_collector_that_comes_back_gets_what_is_recorded_from_then_on(work):
    with Collector() as collector:
        collector.status = 503
        tracing = start(TracingSettings(f"{collector.url}/v1/traces"), service="s", instance="s-1", environment="test")
        try:
            with part("lost", {}):
                pass
            eventually(lambda: collector.requests["/v1/traces"], within=60)
            collector.status = 200

            def told_anew():
                with part("GET", {}):
                    pass
                return collector.spans

            eventually(told_anew, within=60, what="spans after an outage")
        finally:
            tracing.close()
