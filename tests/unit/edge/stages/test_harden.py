import pytest

from tests.builders.answers import a_product_answer
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio
SHOP = "https://shop.example"


async def test_browsers_are_told_to_be_careful_and_nobody_which_server_this_is():
    async with serving(collaborators()) as client:
        for path in ("/health/live", "/nothing", "/api/orders"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["cache-control"] == "no-store"
            assert "server" not in headers


async def test_a_public_answer_keeps_its_own_caching():
    async with serving(collaborators(FakeRpc(get_product=a_product_answer()))) as client:
        assert (await client.get("/api/products/7")).headers["cache-control"] == "public, no-cache"


async def test_only_an_origin_on_the_list_may_read_the_answer():
    async with serving(collaborators(cors_origins=(SHOP,))) as client:
        allowed = await client.get("/health/live", headers={"Origin": SHOP})
        stranger = await client.get("/health/live", headers={"Origin": f"{SHOP}.evil.example"})
        null = await client.get("/health/live", headers={"Origin": "null"})

    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert "ETag" in allowed.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-origin" not in null.headers
    assert stranger.headers["vary"] == "Origin"


async def test_what_an_answer_varies_with_is_all_told(tmp_path):
    async def behave(_asked, _reader, writer):
        writer.write(answer(b"{}", "vary: Accept-Encoding", "vary: Cookie, X-Tenant"))
        await writer.drain()
        return True

    async with Upstream("a", behave) as one, a_gateway(tmp_path, a_route(), cors_origins=(SHOP,)) as edge:
        edge.there_are(one)
        response = await edge.client.get("/things/x")

    assert response.headers["vary"] == "Accept-Encoding, Cookie, X-Tenant, Origin"


async def test_a_preflight_touches_no_service():
    rpc = FakeRpc()
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "PATCH"}
    async with serving(collaborators(rpc, cors_origins=(SHOP,))) as client:
        answer = await client.options("/api/products/7", headers=asked)

    assert answer.status_code == 204
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]
    assert rpc.calls == []
