import pytest

from tests.builders.answers import a_cart_answer, an_order_answer
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

UNCONDITIONAL = [
    ("POST", "/api/cart/items", {"product_id": 7, "quantity": 1}),
    ("POST", "/api/cart/merge", {"cart_token": "t" * 43}),
    ("POST", "/api/orders/1/cancel", None),
    ("POST", "/api/orders", {"items": [{"product_id": 7, "quantity": 1}]}),
    ("POST", "/admin/cache/purge", {"everything": True}),
]


async def asking(method, path, body, *if_match):
    """The answer to a request under these conditions, and what the services were asked for."""
    order = an_order_answer()
    cart = a_cart_answer()
    rpc = FakeRpc(add_item=cart, merge_carts=cart, cancel_order=order, place_order=order)
    headers = [("Authorization", f"Bearer {a_token(scope='edge:admin')}"), ("Idempotency-Key", "k")]
    headers += [("If-Match", one) for one in if_match]
    async with serving(collaborators(rpc)) as client:
        answer = await client.request(method, path, json=body, headers=headers)
    return answer, rpc.calls


@pytest.mark.parametrize("condition", [('"999-6a3"',), ("",), ('W/"1"',), ("1",), ("*", '"1"')])
@pytest.mark.parametrize(("method", "path", "body"), UNCONDITIONAL)
async def test_a_change_under_a_condition_that_nobody_would_look_at_is_refused(method, path, body, condition):
    answer, calls = await asking(method, path, body, *condition)

    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/If-Match"]
    assert calls == []


@pytest.mark.parametrize("condition", [(), ("*",)])
@pytest.mark.parametrize(("method", "path", "body"), UNCONDITIONAL)
async def test_one_that_asks_for_no_version_is_done(method, path, body, condition):
    answer, _ = await asking(method, path, body, *condition)

    assert answer.is_success


async def test_a_read_is_no_change():
    async with serving(collaborators(FakeRpc(get_cart=a_cart_answer()))) as client:
        answer = await client.get("/api/cart", headers={"If-Match": '"999"'})

    assert answer.status_code == 200
