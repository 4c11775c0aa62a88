"""Whatever the edge says no to, its own line of the request says with which code, and why."""

import pytest
from structlog.testing import capture_logs

from edge.admission.door import Admission
from edge.brief import brief
from edge.rpc.failures import NotExecuted, OutcomeUnknown
from edge.rpc.guard import Guard
from shared.resilience.adaptive import LimitPolicy
from tests.builders.answers import a_product_answer
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
PRODUCT = "/api/products/7"


def of_request(logs):
    (line,) = [line for line in logs if line["event"] == "http.request"]
    return line["http.response.status_code"], line["code"], line["reason"], line["log_level"], line["event.outcome"]


async def told(parts, path, **options):
    with capture_logs() as logs:
        async with serving(parts) as client:
            await client.get(path, **options)
    return of_request(logs)


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/api/orders", {}, (401, "auth.required", "This needs an access token.")),
        (
            "/api/orders",
            {"authorization": "Bearer a.b.c"},
            (401, "auth.invalid_token", "The access token is not valid."),
        ),
        ("/nothing", {}, (404, "route.not_found", "There is nothing at this path.")),
        ("/api/products?limit=x", {}, (400, "request.invalid", "/limit")),
    ],
    ids=["no token", "a forged token", "no such path", "a bad field"],
)
async def test_a_refusal_of_the_edge(path, headers, expected):
    status, code, reason, level, outcome = await told(collaborators(), path, headers=headers)

    assert (status, code, level, outcome) == (*expected[:2], "info", "success")
    assert expected[2].rstrip(".") in reason


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (NotExecuted("the broker is away"), (503, "service.unavailable", "the broker is away")),
        (OutcomeUnknown("no answer before the deadline"), (503, "deadline.passed", "no answer before the deadline")),
        (ZeroDivisionError("x"), (500, "internal", "ZeroDivisionError")),
    ],
    ids=["not executed", "unanswered", "a fault of ours"],
)
async def test_a_failure(fault, expected):
    found = await told(collaborators(FakeRpc(get_product=fault)), PRODUCT)

    assert found == (*expected, "warning", "failure")


async def test_a_request_over_the_limit():
    parts = collaborators(FakeRpc(get_product=a_product_answer()), rate_scale=1 / 1200)
    with capture_logs() as logs:
        async with serving(parts) as client:
            await client.get(PRODUCT)
            logs.clear()
            await client.get(PRODUCT)

    assert of_request(logs)[:2] == (429, "quota.exceeded")
    assert of_request(logs)[2]


async def test_a_request_that_is_shed_at_the_door():
    parts = collaborators()
    object.__setattr__(parts, "admission", Admission(LimitPolicy(first=4, least=4)))
    limit = parts.admission.limit_of("catalog")
    for _ in range(4):
        limit.enter()

    status, code, reason, *_ = await told(parts, "/api/categories")

    assert (status, code) == (503, "service.unavailable")
    assert "shed at the door" in reason
    assert "catalog" in reason


async def test_an_open_breaker_says_which_call_it_stopped_and_why_it_is_open():
    rpc = FakeRpc(get_product=a_product_answer())
    guard = Guard(rpc, ["catalog"])
    guard.lost("catalog")
    with capture_logs() as logs:
        async with serving(collaborators(guard)) as client:
            await client.get(PRODUCT)

    (call,) = [line for line in logs if line["event"] == "rpc.not_answered" and line["method"] != "identity.get_jwks"]
    assert call["method"] == "catalog.get_product"
    assert call["reason"] == "the breaker is open: no instance of the service is listening"
    assert of_request(logs)[2] == call["reason"]


async def test_who_has_no_request_yet_is_told_an_id_that_the_log_knows():
    with capture_logs() as logs:
        answer = brief("service.unavailable", "All connections are taken.")

    (line,) = logs
    assert line["http.request.id"].encode() in answer
    assert (line["code"], line["reason"]) == ("service.unavailable", "All connections are taken.")


async def test_what_goes_well_needs_no_reason():
    parts = collaborators(FakeRpc(get_product=a_product_answer()))

    found = await told(parts, PRODUCT, headers={"authorization": f"Bearer {a_token()}"})

    assert found == (200, None, None, "info", "success")
