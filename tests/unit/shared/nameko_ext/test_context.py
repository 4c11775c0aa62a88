"""Which span a run is, and what its log lines say of it."""

from types import SimpleNamespace

import pytest

from shared.contracts import headers
from shared.logs.context import add_bound_fields
from shared.messaging.call import Call
from shared.nameko_ext import wire
from shared.nameko_ext.context import bind_log_context, run_of
from shared.nameko_ext.tracing import Departure
from shared.tracing import recording
from shared.tracing.recording import Recorder
from shared.tracing.spans import is_sampled, work_of

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WORK = "aaaaaaaaaaaaaaaa"


@pytest.fixture
def told():
    spans = []
    recording.use(Recorder(spans.append))
    yield spans
    recording.use(None)


def lines_of(call):
    bind_log_context(call)
    return add_bound_fields(None, "info", {})


def test_each_run_of_a_call_is_a_span_of_its_own_under_the_caller():
    call = Call(request_id="r", traceparent=CALLER)

    first, second = lines_of(run_of(call)), lines_of(run_of(call))

    assert first["trace.id"] == second["trace.id"] == CALLER[3:35]
    assert first["parent_span_id"] == second["parent_span_id"] == CALLER[36:52]
    assert first["span.id"] != second["span.id"]


def test_what_a_run_causes_travels_under_the_run():
    run = run_of(Call(request_id="r", traceparent=CALLER, tracestate=f"kirana={WORK},x=1"))

    onward = wire.read_call(wire.write_call(run), method="catalog.get_product")

    assert onward.traceparent == run.span.traceparent
    assert onward.tracestate == "x=1"
    assert lines_of(run_of(onward))["parent_span_id"] == run.span.span_id


def test_lines_stand_under_the_work_behind_a_recorded_call():
    run = run_of(Call(request_id="r", traceparent=CALLER, tracestate=f"kirana={WORK}"))

    assert lines_of(run)["parent_span_id"] == WORK
    assert run.span.caller == CALLER


@pytest.mark.parametrize("traceparent", [None, "nonsense"])
def test_a_run_that_nobody_traces_begins_a_trace(traceparent):
    fields = lines_of(run_of(Call(request_id="r", traceparent=traceparent)))

    assert len(fields["trace.id"]) == 32
    assert len(fields["span.id"]) == 16
    assert "parent_span_id" not in fields


def test_ticks_are_never_recorded_though_calls_without_a_caller_are(told):
    call = Call(request_id="r")

    assert is_sampled(run_of(call).traceparent)
    assert not is_sampled(run_of(call, is_tick=True).traceparent)


def row(traceparent):
    return SimpleNamespace(traceparent=traceparent, type="order.placed", service="order", event_id="e-1")


def test_an_event_departs_under_a_span_whose_lines_stand_under_the_writer(told):
    departure = Departure(row(CALLER))
    context = departure.context()
    departure.arrived(well=True)

    assert told[0].own == context[headers.TRACEPARENT] != CALLER
    assert told[0].parent == CALLER
    assert work_of(context[headers.TRACESTATE]) == CALLER[36:52]


@pytest.mark.parametrize("traceparent", [None, CALLER[:-1] + "0"], ids=["untraced", "not recorded"])
def test_an_event_of_no_recorded_trace_departs_as_it_was_written(told, traceparent):
    departure = Departure(row(traceparent))
    departure.arrived(well=True)

    assert departure.context() == {headers.TRACEPARENT: traceparent}
    assert told == []


def test_while_nobody_collects_an_event_departs_as_it_was_written():
    assert Departure(row(CALLER)).context() == {headers.TRACEPARENT: CALLER}
