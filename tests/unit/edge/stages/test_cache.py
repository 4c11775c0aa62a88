import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cache.answering import ResponseCache
from edge.routes import load
from edge.rpc.calls import RpcReply
from edge.rpc.failures import NotExecuted, RemoteRefusal
from tests.builders.answers import a_product_answer
from tests.fakes.edge import ROUTES, FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

CHANGING = {"cache-status", "age", "x-request-id", "server-timing", "ratelimit", "date"}
A_PAGE = {"items": [a_product_answer()], "next_cursor": "next"}


def lasting(answer):
    """What a client may rely on to be the same, however the answer came about."""
    return answer.status_code, {k: v for k, v in answer.headers.items() if k not in CHANGING}, answer.content


def an_edge(rpc, **settings):
    return collaborators(rpc, cache=ResponseCache(), **settings)


async def test_a_hit_is_byte_for_byte_what_a_miss_is():
    rpc = FakeRpc(get_product=a_product_answer(), list_products=A_PAGE, list_categories=[])
    paths = ["/api/products/7", "/api/products?limit=5&category=1", "/api/categories", "/.well-known/jwks.json"]
    async with serving(an_edge(rpc)) as client:
        for path in paths:
            miss, hit = await client.get(path), await client.get(path)

            assert lasting(miss) == lasting(hit)
            assert miss.headers["cache-status"] == "kirana; fwd=miss; stored"
            assert hit.headers["cache-status"] == "kirana; hit"
            assert int(hit.headers["age"]) >= 0


async def test_the_order_of_a_query_changes_nothing():
    async with serving(an_edge(FakeRpc(list_products=A_PAGE))) as client:
        one = await client.get("/api/products?limit=5&category=1&q=a%20b")
        other = await client.get("/api/products?q=a+b&category=1&limit=5")

    assert other.headers["cache-status"] == "kirana; hit"
    assert lasting(one) == lasting(other)


async def test_head_and_get_share_what_is_kept():
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(an_edge(rpc)) as client:
        head, get = await client.head("/api/products/7"), await client.get("/api/products/7")

    assert (head.content, len(get.content)) == (b"", int(head.headers["content-length"]))
    assert get.headers["cache-status"] == "kirana; hit"
    assert len(rpc.calls) == 1


async def test_not_modified_is_answered_from_what_is_kept():
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(an_edge(rpc)) as client:
        full = await client.get("/api/products/7")
        again = await client.get("/api/products/7", headers={"If-None-Match": full.headers["etag"]})
        other = await client.get("/api/products/7", headers={"If-None-Match": '"0-0"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == full.headers["etag"]
    assert other.content == full.content
    assert len(rpc.calls) == 1


async def test_a_condition_of_one_client_never_empties_anothers_answer():
    async with serving(an_edge(FakeRpc(get_product=a_product_answer()))) as client:
        first = await client.get("/api/products/7", headers={"If-None-Match": "*"})
        second = await client.get("/api/products/7")

    assert (first.status_code, second.status_code) == (304, 200)
    assert second.json()["id"] == 7


@pytest.mark.parametrize("path", ["/api/products/7?x=1", "/api/products?limit=0", "/api/products/x"])
async def test_what_the_contract_refuses_is_refused_however_often(path):
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(an_edge(rpc)) as client:
        await client.get("/api/products/7")
        answers = [await client.get(path) for _ in range(2)]

    assert [one.status_code for one in answers] == [400, 400]


async def test_a_service_that_is_away_leaves_stale_pages_that_say_so_and_a_friendly_503():
    rpc = FakeRpc(get_product=a_product_answer())
    parts = an_edge(rpc)
    async with serving(parts) as client:
        full = await client.get("/api/products/7")
        parts.cache.distrust()
        rpc.answers["get_product"] = NotExecuted("the breaker is open", 3)
        stale, absent = await client.get("/api/products/7"), await client.get("/api/products/8")

    assert (stale.status_code, stale.content) == (200, full.content)
    assert stale.headers["cache-status"].startswith("kirana; hit; ttl=-")
    assert (absent.status_code, absent.headers["retry-after"]) == (503, "3")
    assert absent.json()["retryable"] is True


async def test_a_product_that_is_gone_is_gone():
    rpc = FakeRpc(get_product=a_product_answer())
    parts = an_edge(rpc)
    async with serving(parts) as client:
        await client.get("/api/products/7")
        await parts.cache.purge({"product:7"}, by="test")
        rpc.answers["get_product"] = RemoteRefusal("catalog.product_not_found", "There is no such product.", {})
        answers = [await client.get("/api/products/7") for _ in range(2)]

    assert [one.status_code for one in answers] == [404, 404]
    assert len(rpc.calls) == 3


HOSTILE = st.dictionaries(
    st.sampled_from(
        ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-URL", "X-Host", "Forwarded", "Origin", "Accept", "Cookie",
         "Accept-Language", "User-Agent", "X-Cart-Token", "If-None-Match", "Range", "Vary", "Cache-Control", "Referer"]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(lambda text: f"evil-{text}"),
    max_size=5,
)  # fmt: skip


@settings(max_examples=15)
@given(st.lists(HOSTILE, min_size=1, max_size=4), st.lists(st.sampled_from("abc"), min_size=2, max_size=6))
def test_no_header_of_one_client_ever_reaches_another(header_sets, users):
    """Each user's own page stays their own, and the public one is the same for all, in whatever headers they come."""

    async def scenario():
        async def own_page(arguments, _context):
            return RpcReply({"id": arguments["user_id"], "username": arguments["user_id"]})

        rpc = FakeRpc(get_product=a_product_answer(), get_user=own_page)
        async with serving(an_edge(rpc, cors_origins=("https://shop.example",))) as client:
            public = set()
            for turn, user in enumerate(users):
                headers = header_sets[turn % len(header_sets)]
                known = {"Authorization": f"Bearer {a_token(sub=user)}"}
                page = await client.get("/api/products/7", headers=headers | known)
                own = await client.get("/api/users/me", headers=headers | known)
                public.add((page.content or b"304", page.headers["cache-control"]))
                assert own.json()["id"] == user
                assert "cache-status" not in own.headers
                assert "evil-" not in f"{page.headers}{page.text}"
            assert len(public - {(b"304", "public, no-cache")}) <= 1

    asyncio.run(scenario())


PRIVATE = """
  - name: get_profile
    method: GET
    path: /api/users/me
    summary: Who you are
    tag: Identity
    call: identity.get_user
    auth: required
    limits: {address: browse, caller: browse}
    arguments: {user_id: caller.user_id}
    answer: {etag: content, cache_control: "private, no-cache"}
    cache: {ttl: 60, private: true}
"""


async def test_a_private_answer_is_kept_for_its_owner_alone(tmp_path):
    async def own_page(arguments, _context):
        return RpcReply({"id": arguments["user_id"]})

    routes = tmp_path / "routes.yaml"
    rates = ROUTES.read_text().partition("routes:")[0].replace("# yaml-language-server", "# ")
    routes.write_text(f"{rates}routes:{PRIVATE}")
    rpc = FakeRpc(get_user=own_page)
    async with serving(an_edge(rpc), routes) as client:
        answers = {
            (user, turn): await client.get("/api/users/me", headers={"Authorization": f"Bearer {a_token(sub=user)}"})
            for turn in range(2)
            for user in ("one", "two")
        }
        nobody = await client.get("/api/users/me")

    assert all(answer.json() == {"id": user} for (user, _), answer in answers.items())
    assert {answer.headers["cache-status"] for (_, turn), answer in answers.items() if turn} == {"kirana; hit"}
    assert {answer.headers["vary"] for answer in answers.values()} == {"Authorization"}
    assert nobody.status_code == 401
    assert len(rpc.calls) == 2


def test_prices_of_carts_and_orders_are_never_kept():
    kept = {route.policy.name for route in load(ROUTES).routes if route.policy.cache}

    assert kept == {"get_product", "list_products", "list_categories", "get_jwks"}


async def test_an_administrator_purges_a_tag_a_path_or_everything():
    rpc = FakeRpc(get_product=a_product_answer())
    admin = {"Authorization": f"Bearer {a_token(scope='edge:admin')}"}
    async with serving(an_edge(rpc)) as client:
        for body, tag in [
            ({"tag": "product:7"}, "product:7"),
            ({"path": "/api/products/7/"}, "path:/api/products/7"),
            ({"everything": True}, "all"),
        ]:
            await client.get("/api/products/7")
            purged = await client.post("/admin/cache/purge", json=body, headers=admin)
            after = await client.get("/api/products/7")

            assert (purged.status_code, purged.json()) == (200, {"tag": tag})
            assert after.headers["cache-status"] == "kirana; fwd=miss; stored"


@pytest.mark.parametrize(
    "body",
    [{}, {"tag": "a", "everything": True}, {"everything": False}, {"tag": "A b"}, {"path": "x"}],
    ids=["nothing", "two", "no", "no tag", "no path"],
)
async def test_a_purge_of_nothing_in_particular_is_refused(body):
    admin = {"Authorization": f"Bearer {a_token(scope='edge:admin')}"}
    async with serving(an_edge(FakeRpc())) as client:
        assert (await client.post("/admin/cache/purge", json=body, headers=admin)).status_code == 400


async def test_only_an_administrator_purges():
    async with serving(an_edge(FakeRpc())) as client:
        customer = {"Authorization": f"Bearer {a_token()}"}
        answers = [
            await client.post("/admin/cache/purge", json={"everything": True}, headers=h) for h in ({}, customer)
        ]

    assert [one.status_code for one in answers] == [401, 403]


async def test_a_purge_that_not_everybody_heard_of_says_so():
    parts = an_edge(FakeRpc())

    async def broker_is_away(_tags):
        raise NotExecuted("the broker is away", 2)

    parts.cache.tell = broker_is_away
    admin = {"Authorization": f"Bearer {a_token(scope='edge:admin')}"}
    async with serving(parts) as client:
        answer = await client.post("/admin/cache/purge", json={"everything": True}, headers=admin)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
