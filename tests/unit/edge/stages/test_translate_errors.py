import pytest
from structlog.testing import capture_logs

from edge.rpc.failures import NotExecuted, OutcomeUnknown, RemoteRefusal
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
ORDER = {"items": [{"product_id": 7, "quantity": 1}]}


async def placing(failure):
    headers = {"Authorization": f"Bearer {a_token()}", "Idempotency-Key": "k"}
    async with serving(collaborators(FakeRpc(place_order=failure))) as client:
        return await client.post("/api/orders", json=ORDER, headers=headers)


async def reading(failure):
    async with serving(collaborators(FakeRpc(get_product=failure))) as client:
        return await client.get("/api/products/7")


async def test_a_services_no_is_told_with_its_details():
    answer = await placing(RemoteRefusal("catalog.out_of_stock", "Short.", {"shortages": [{"product_id": 7}]}))

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "/problems/catalog-out-of-stock"
    assert problem["detail"] == "Short."
    assert problem["shortages"] == [{"product_id": 7}]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["instance"] == "/api/orders"


async def test_what_did_not_happen_may_be_tried_again():
    answer = await placing(NotExecuted("breaker open", 3))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert answer.json()["retryable"] is True


async def test_what_may_have_happened_is_said_to_be_unknown():
    answer = await placing(OutcomeUnknown("reply lost"))

    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/outcome-unknown")


async def test_a_read_without_an_answer_changed_nothing_and_may_be_tried_again():
    answer = await reading(OutcomeUnknown("reply lost"))

    assert (answer.status_code, answer.json()["code"]) == (503, "deadline.passed")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "failure",
    [
        ZeroDivisionError("secret inside"),
        RemoteRefusal("internal", "secret inside", {"secret": 1}),
        RemoteRefusal("new.code", "secret inside", {}),
    ],
    ids=repr,
)
async def test_an_unexpected_fault_is_logged_and_told_in_nothing(failure):
    with capture_logs() as logs:
        answer = await reading(failure)

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "secret" not in answer.text
    assert any(line["log_level"] == "error" for line in logs)


async def test_an_unknown_category_is_a_fault_of_that_field():
    body = {"name": "n", "description": "", "price": "1.00", "category_id": 9, "stock": 1}
    rpc = FakeRpc(create_product=RemoteRefusal("catalog.category_not_found", "No.", {}))
    headers = {"Authorization": f"Bearer {a_token(scope='catalog:write')}"}
    async with serving(collaborators(rpc)) as client:
        answer = await client.post("/api/products", json=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/category_id"


async def test_a_problem_on_a_limited_route_still_tells_the_limits():
    answer = await reading(RemoteRefusal("catalog.product_not_found", "No.", {"product_ids": [7]}))

    assert answer.status_code == 404
    assert "ratelimit" in answer.headers
