import re

import pytest

from edge.routes import load
from edge.settings import PACKAGED_ROUTES
from tests.builders.answers import a_product_answer
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

OF_PEOPLE = [
    ("GET", "/api/users/me"), ("PATCH", "/api/users/me"), ("POST", "/api/users/me/password"),
    ("GET", "/api/users/me/sessions"), ("GET", "/api/cart"), ("POST", "/api/cart/items"), ("PUT", "/api/cart/items/1"),
    ("DELETE", "/api/cart/items/1"), ("DELETE", "/api/cart"), ("POST", "/api/cart/merge"),
    ("POST", "/api/cart/checkout"), ("POST", "/api/orders"), ("GET", "/api/orders"), ("GET", "/api/orders/1"),
    ("POST", "/api/orders/1/cancel"), ("GET", "/api/orders/1/history"), ("GET", "/api/home"),
    ("GET", "/api/notifications"),
]  # fmt: skip
OF_ANYBODY = [("POST", "/api/token/revoke"), ("DELETE", "/api/users/me/sessions/1")]
"""A client's grant is a session, too, which may be ended."""

AS_A_CLIENT = {"Authorization": f"Bearer {a_token(sub='partner', client_id='partner', scope='catalog:write')}"}


async def visiting(**claims):
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        return await client.get("/admin/routes", headers={"Authorization": f"Bearer {a_token(**claims)}"})


async def test_a_token_with_the_scope_is_let_through():
    answer = await visiting(scope="catalog:write edge:admin")

    assert answer.status_code == 200
    (line,) = (route for route in answer.json()["routes"] if route["name"] == "show_routes")
    assert {"method": "GET", "path": "/admin/routes", "target": "local.show_routes"}.items() <= line.items()


@pytest.mark.parametrize("scope", ["", "catalog:write", "edge:admins", "EDGE:ADMIN"])
async def test_a_token_without_it_is_not(scope):
    answer = await visiting(scope=scope)

    assert answer.status_code == 403
    assert answer.json()["code"] == "auth.insufficient_scope"
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_every_route_that_takes_the_user_is_known_to_these_tests():
    taking = [
        route.policy for route in load(PACKAGED_ROUTES).routes if "caller.user_id" in route.binding.sources.values()
    ]

    known = {(method, path.replace("/1", "/*")) for method, path in OF_PEOPLE + OF_ANYBODY}
    assert {(route.method, re.sub(r"{[a-z_]+}", "*", route.path)) for route in taking} == known


@pytest.mark.parametrize(("method", "path"), OF_PEOPLE)
async def test_a_client_in_its_own_name_does_nothing_that_only_a_person_can(method, path):
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        answers = [await client.request(method, path, headers=AS_A_CLIENT) for _ in range(2)]  # known by the second

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.insufficient_scope")
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert rpc.calls == []


@pytest.mark.parametrize(("method", "path"), OF_ANYBODY)
async def test_a_client_ends_its_own_grants(method, path):
    rpc = FakeRpc(revoke_session={})
    async with serving(collaborators(rpc)) as client:
        answer = await client.request(method, path, headers=AS_A_CLIENT)

    assert answer.status_code == 204
    assert [arguments["user_id"] for _, arguments, _ in rpc.calls] == ["partner"]


async def test_a_client_does_what_its_scopes_are_for():
    async with serving(collaborators(FakeRpc(set_stock=a_product_answer()))) as client:
        answer = await client.put("/api/products/1/stock", json={"on_hand": 2, "expected": 1}, headers=AS_A_CLIENT)

    assert answer.status_code == 200


async def test_a_person_whose_token_a_client_holds_is_still_a_person():
    token = a_token(sub="user-1", client_id="partner")
    async with serving(collaborators(FakeRpc(list_orders={"items": [], "next_cursor": None}))) as client:
        answer = await client.get("/api/orders", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 200


async def test_a_client_that_is_refused_is_not_charged_as_a_caller():
    async with serving(collaborators(FakeRpc())) as client:
        answers = [await client.get("/api/orders", headers=AS_A_CLIENT) for _ in range(3)]

    assert all("browse-caller" not in answer.headers["ratelimit"] for answer in answers)
