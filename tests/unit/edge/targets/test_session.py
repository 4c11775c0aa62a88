import pytest

from edge.rpc.failures import NotExecuted, OutcomeUnknown, RemoteRefusal
from tests.builders.answers import a_cart_answer, a_token_answer
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
CART_TOKEN = "t" * 24
LOGIN = {"username": "name", "password": "correct horse"}


async def logging_in(body, **answers):
    rpc = FakeRpc(**({"issue_tokens": a_token_answer()} | answers))
    async with serving(collaborators(rpc)) as client:
        return await client.post("/api/token", json=body), rpc.calls


async def test_logging_in_gives_tokens_and_throttles_by_the_peers_address():
    answer, calls = await logging_in(LOGIN)

    assert answer.json() == {name: value for name, value in a_token_answer().items() if name != "user_id"}
    assert answer.headers["cache-control"] == "no-store"
    assert "x-cart-merged" not in answer.headers
    assert calls[0][1] == LOGIN | {"client_address": "127.0.0.1"}


async def test_the_guests_cart_comes_along_on_behalf_of_the_new_user():
    answer, calls = await logging_in(LOGIN | {"cart_token": CART_TOKEN}, merge_carts=a_cart_answer())

    name, arguments, context = calls[1]
    assert (name, arguments) == ("merge_carts", {"user_id": "user-1", "cart_token": CART_TOKEN})
    assert context.user_id == "user-1"
    assert context.operation_id == f"{calls[0][2].operation_id}/merge"
    assert answer.headers["x-cart-merged"] == "true"


async def test_what_found_no_room_in_the_users_cart_is_named():
    warnings = [{"product_id": number, "code": "cart.limit_exceeded", "detail": "No room."} for number in (7, 9)]
    warnings.append({"product_id": 8, "code": "catalog.out_of_stock", "detail": "Only 1 can be had now."})
    merged = a_cart_answer() | {"warnings": warnings}
    answer, _ = await logging_in(LOGIN | {"cart_token": CART_TOKEN}, merge_carts=merged)

    assert (answer.headers["x-cart-merged"], answer.headers["x-cart-left-out"]) == ("partly", "7, 9")


@pytest.mark.parametrize(
    "failure", [RemoteRefusal("cart.closed", "Closed.", {}), NotExecuted("away"), OutcomeUnknown("lost")], ids=repr
)
async def test_a_cart_that_cannot_come_along_keeps_nobody_out(failure):
    answer, _ = await logging_in(LOGIN | {"cart_token": CART_TOKEN}, merge_carts=failure)

    assert answer.status_code == 200
    assert answer.headers["x-cart-merged"] == "false"


async def test_wrong_credentials_merge_nothing():
    refusal = RemoteRefusal("identity.invalid_credentials", "Wrong.", {})
    answer, calls = await logging_in(LOGIN | {"cart_token": CART_TOKEN}, issue_tokens=refusal)

    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers
    assert [name for name, _, _ in calls] == ["issue_tokens"]


async def test_logging_out_ends_the_session_here_at_once():
    rpc = FakeRpc(revoke_session={}, get_user={"id": "user-1"})
    headers = {"Authorization": f"Bearer {a_token(sid='s-1')}"}
    async with serving(collaborators(rpc)) as client:
        before = await client.get("/api/users/me", headers=headers)
        out = await client.post("/api/token/revoke", headers=headers)
        after = await client.get("/api/users/me", headers=headers)

    assert (before.status_code, out.status_code, after.status_code) == (200, 204, 401)
    assert rpc.calls[1][1] == {"session_id": "s-1", "user_id": "user-1"}


async def test_a_log_out_that_did_not_happen_is_not_pretended():
    rpc = FakeRpc(revoke_session=NotExecuted("away"), get_user={"id": "user-1"})
    headers = {"Authorization": f"Bearer {a_token()}"}
    async with serving(collaborators(rpc)) as client:
        out = await client.post("/api/token/revoke", headers=headers)
        after = await client.get("/api/users/me", headers=headers)

    assert (out.status_code, after.status_code) == (503, 200)
