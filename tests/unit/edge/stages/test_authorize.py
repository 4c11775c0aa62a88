import pytest

from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio


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
