"""What is recorded of requests; that their spans meet those of services is shown with real servers."""

import pytest

from edge.rpc.calls import CallContext, Deadline
from edge.rpc.failures import NotExecuted, RemoteRefusal
from edge.tracing import TracedRpc
from shared.contracts.catalog import GET_PRODUCT
from shared.logs.context import add_bound_fields
from shared.tracing import recording
from shared.tracing.recording import Recorder
from shared.tracing.spans import begin, work_of
from tests.builders.answers import a_product_answer
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"


@pytest.fixture
def told():
    spans = []
    recording.use(Recorder(spans.append))
    yield spans
    recording.use(None)


async def asked(path="/api/products/7", *, headers=None, rpc=None, **settings):
    parts = collaborators(rpc or FakeRpc(get_product=a_product_answer()), **settings)
    async with serving(parts) as client:
        return await client.get(path, headers=headers or {})


async def test_a_request_is_recorded_with_its_route_and_outcome(told):
    await asked(headers={"traceparent": TRACE + "1"}, trusted_proxies=("127.0.0.1/32",))

    (span,) = [each for each in told if each.kind == "server"]
    assert span.name == "GET /api/products/{product_id}"
    assert span.parent == TRACE + "1"
    assert span.attributes["http.response.status_code"] == 200
    assert span.fault is None


async def test_a_path_of_nobody_names_no_span_after_itself(told):
    await asked("/nothing/of/that/kind")

    (span,) = told
    assert span.name == "GET"
    assert "http.route" not in span.attributes


@pytest.mark.parametrize(
    ("failure", "fault"), [(RuntimeError("x"), "internal"), (NotExecuted("away"), "service.unavailable")]
)
async def test_a_request_that_we_failed_is_a_fault(told, failure, fault):
    await asked(rpc=FakeRpc(get_product=failure))

    (span,) = [each for each in told if each.kind == "server"]
    assert span.fault == fault


@pytest.mark.parametrize(("proxies", "recorded"), [((), 1), (("127.0.0.1/32",), 0)], ids=["a stranger", "our proxy"])
async def test_only_a_proxy_of_ours_decides_that_a_trace_is_not_recorded(told, proxies, recorded):
    await asked(headers={"traceparent": TRACE + "0"}, trusted_proxies=proxies)

    assert len(told) == recorded


async def test_a_stranger_cannot_have_a_trace_recorded(told):
    recording.use(Recorder(told.append, ratio=0.0))

    await asked(headers={"traceparent": TRACE + "1"})

    assert told == []


async def test_a_call_travels_under_a_span_of_its_own_and_names_the_work_that_sent_it(told):
    work, rpc = begin(None), FakeRpc(get_product=a_product_answer())
    recording.here.set(work.traceparent)
    context = CallContext(
        request_id="r", deadline=Deadline.after(5), route="x", traceparent=work.traceparent, tracestate="other=1"
    )

    await TracedRpc(rpc).call(GET_PRODUCT, {"product_id": 7}, context=context)

    (span,) = told
    sent = rpc.calls[0][2]
    assert (span.own, span.parent) == (sent.traceparent, work.traceparent)
    assert work_of(sent.tracestate) == work.span_id
    assert sent.tracestate.endswith("other=1")


@pytest.mark.parametrize(
    ("failure", "fault"),
    [
        (RemoteRefusal("catalog.product_unknown", "No.", {}), ""),
        (RemoteRefusal("internal", "No.", {}, remote_type="KeyError"), "internal"),
        (NotExecuted("the breaker is open"), "NotExecuted"),
    ],
    ids=["refused", "failed", "not executed"],
)
async def test_a_refusal_is_an_answer_and_a_failure_a_fault(told, failure, fault):
    work = begin(None)
    recording.here.set(work.traceparent)
    context = CallContext(request_id="r", deadline=Deadline.after(5), route="x", traceparent=work.traceparent)

    with pytest.raises(type(failure)):
        await TracedRpc(FakeRpc(get_product=failure)).call(GET_PRODUCT, {}, context=context)

    assert (told[0].fault or "") == fault


@pytest.mark.parametrize("collected", [False, True], ids=["uncollected", "collected"])
async def test_lines_of_a_request_name_its_span_and_its_parent(told, collected):
    bound = {}

    async def look(_arguments, _context):
        bound.update(add_bound_fields(None, "info", {}))
        return a_product_answer()

    if not collected:
        recording.use(None)
    answer = await asked(headers={"traceparent": TRACE + "1"}, rpc=FakeRpc(get_product=look))

    assert bound["trace.id"] == TRACE[3:35]
    assert bound["parent_span_id"] == TRACE[36:52]
    assert f"-{bound['span.id']}-" in answer.headers["server-timing"]


async def test_what_other_systems_say_of_a_trace_goes_on_to_the_service_but_not_what_they_say_for_us():
    rpc = FakeRpc(get_product=a_product_answer())

    await asked(headers={"traceparent": TRACE + "1", "tracestate": f"kirana={'a' * 16},x=1"}, rpc=rpc)

    assert rpc.calls[0][2].tracestate == "x=1"
