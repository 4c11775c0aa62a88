"""Who finds no place is given a page that is kept anyway, if they may see it: from memory, and nobody is asked."""

import json
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from edge.admission.door import Admission
from edge.admission.doorstep import Doorstep
from edge.admission.kept import WAY, may_stand_in
from edge.cache.answering import ResponseCache
from edge.framing import read_header
from edge.limiting.limiter import Limiter
from edge.pipeline import STAGES, equip
from shared.resilience.adaptive import LimitPolicy
from tests.builders.answers import a_product_answer
from tests.builders.tables import a_route
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving
from tests.fakes.windows import FakeWindows
from tests.unit.edge.cache.asking import Clock, a_policy

pytestmark = pytest.mark.anyio

KEPT = {"ttl": 10, "stale_while_revalidate": 30, "stale_if_error": 100, "tags": ["product:{product_id}"]}
PUBLIC = {"cache_control": "public, no-cache"}
PRIVATE = {"cache_control": "private, no-cache"}
PRODUCT = a_route(cache=KEPT, answer=PUBLIC | {"etag": "version"})
OF_ALL = a_route(
    name="of_all", path="/all/{product_id}", auth="optional", cache=KEPT | {"vary": "caller-class"}, answer=PUBLIC
)
OWN = a_route(
    name="own", path="/own/{order_id}", call="order.get_order", auth="required", scopes=["catalog:write"],
    arguments={"user_id": "caller.user_id", "order_id": "path"}, answer=PRIVATE,
    cache={"ttl": 10, "stale_if_error": 100, "private": True},
)  # fmt: skip
CHANGED = a_route(
    name="changed", path="/changed/{product_id}", cache=KEPT, answer=PUBLIC,
    transforms={"response": {"json": {"drop": ["stock"]}}},
)  # fmt: skip
PATH = "/api/products/7"
ANNA, BERT, HELPER = (
    {"Authorization": f"Bearer {a_token(**claims)}"}
    for claims in (
        {"sub": "anna", "sid": "1", "scope": "catalog:write"},
        {"sub": "bert", "sid": "2", "scope": "catalog:write"},
        {"sub": "anna", "sid": "3"},
    )
)

NOBODY = {"Authorization": "Bearer x"}


class Shop:
    """An edge with a clock that stands still for what it keeps."""

    def __init__(self, folder, **settings):
        self.rpc = FakeRpc(get_product=a_product_answer(), get_order={"user": "whose it is"})
        self.clock = Clock()
        cache = ResponseCache(monotonic=self.clock, wall=self.clock)
        self.parts = collaborators(self.rpc, cache=cache, **settings)
        object.__setattr__(self.parts, "admission", Admission(LimitPolicy(first=4, least=4)))
        self.routes = folder / "routes.yaml"
        rates = {"browse": {"quota": 100, "window": 60}}
        self.routes.write_text(json.dumps({"rates": rates, "routes": [PRODUCT, OF_ALL, OWN, CHANGED]}))
        self.cache = cache
        self.limits = [self.parts.admission.limit_of(name) for name in ("catalog", "order")]

    def serving(self):
        return serving(self.parts, self.routes)

    def crowd(self):
        """From now on there is no place for readers."""
        for limit in self.limits:
            while limit.admits(3):
                limit.enter()
            limit.refused[3] = 0

    @property
    def refused(self):
        return sum(limit.refused[3] for limit in self.limits)


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


async def test_a_page_that_is_fresh_is_given_without_a_place_and_without_asking_anybody(shop):
    async with shop.serving() as client:
        first = await client.get(PATH)
        shop.crowd()
        held = shop.limits[0].in_flight
        with capture_logs() as logs:
            pages = [await client.get(PATH) for _ in range(3)]
        head = await client.head(PATH)
        unchanged = await client.get(PATH, headers={"If-None-Match": first.headers["etag"]})

    assert [page.status_code for page in [*pages, head, unchanged]] == [200, 200, 200, 200, 304]
    assert {page.content for page in pages} == {first.content}
    assert {(page.headers["cache-status"], page.headers["age"]) for page in pages} == {("kirana; hit", "0")}
    assert pages[0].headers["etag"] == first.headers["etag"]
    assert (len(shop.rpc.calls), shop.limits[0].in_flight, shop.refused) == (1, held, 5)
    lines = [line for line in logs if line["event"] == "http.request"]
    assert {(line["code"], line["reason"][:22]) for line in lines} == {(None, "a kept page stands in:")}
    assert shop.cache.tallies["get_product"].hit == 5


async def test_a_stale_one_says_so_and_nothing_is_fetched_anew(shop):
    async with shop.serving() as client:
        await client.get(PATH)
        shop.crowd()
        told = []
        for seconds in (20, 60):
            shop.clock.at += seconds
            page = await client.get(PATH)
            told.append((page.status_code, page.headers["age"], page.headers["cache-status"].partition("=")[0]))
        under_way = len(shop.cache.fetching.tasks)

    assert told == [(200, "20", "kirana; hit; ttl"), (200, "80", "kirana; hit; ttl")]
    assert (len(shop.rpc.calls), under_way) == (1, 0)


async def test_who_asks_for_what_is_not_kept_or_is_too_old_is_refused_inside_and_at_the_door(shop):
    async with shop.serving() as client:
        await client.get(PATH)
        shop.crowd()
        others = [await client.get("/api/products/8") for _ in range(2)]
        shop.clock.at += 111
        old = await client.get(PATH)

    assert [answer.status_code for answer in [*others, old]] == [503] * 3
    assert [answer.json()["code"] for answer in [*others, old]] == ["service.unavailable"] * 3
    assert shop.refused == 3


async def test_pages_that_stand_in_count_in_the_limits_like_any_other(shop):
    async with shop.serving() as client:
        await client.get(PATH)
        shop.crowd()
        pages = [await client.get(PATH) for _ in range(101)]

    assert [page.status_code for page in pages] == [200] * 99 + [429] * 2
    assert pages[0].headers["ratelimit"].startswith('"browse-address";r=98;')
    assert pages[99].json()["code"] == "quota.exceeded"


async def test_while_the_worker_has_too_much_to_do_itself_nobody_is_given_any(shop):
    async with shop.serving() as client:
        await client.get(PATH)
        shop.crowd()
        shop.parts.admission.lag = 1.0
        refused = await client.get(PATH)
        door = Doorstep(equip(client.live, shop.parts))
        at_the_door = door.turn_away("GET", PATH, read_header("1.1", b"Host: a"))
        shop.parts.admission.lag = 0.0
        let_in = door.turn_away("GET", PATH, read_header("1.1", b"Host: a"))
        given = await client.get(PATH)

    assert (refused.status_code, given.status_code) == (503, 200)
    assert at_the_door is not None
    assert at_the_door.startswith(b"HTTP/1.1 503")
    assert let_in is None


async def test_what_is_private_is_given_to_its_owner_alone_and_only_with_a_token_that_still_counts(shop):
    async with shop.serving() as client:
        for headers in (ANNA, BERT, HELPER):  # from now on their tokens are known here
            await client.get("/own/1" if headers is ANNA else "/own/2", headers=headers)
        asked = len(shop.rpc.calls)
        shop.crowd()
        own, others, without, forged, lesser = [
            await client.get("/own/1", headers=headers)
            for headers in (ANNA, BERT, {}, {"Authorization": ANNA["Authorization"][:-4] + "AAAA"}, HELPER)
        ]
        shop.parts.revocations.add("1", int(shop.parts.clock().timestamp()) + 900)
        ended = await client.get("/own/1", headers=ANNA)

    assert (own.status_code, own.headers["cache-status"]) == (200, "kirana; hit")
    assert [one.status_code for one in (others, without, forged)] == [503] * 3
    assert (lesser.status_code, lesser.json()["code"]) == (403, "auth.insufficient_scope")
    assert ended.status_code == 503
    assert len(shop.rpc.calls) == asked


async def test_what_is_kept_for_one_class_of_callers_is_not_given_to_another(shop):
    async with shop.serving() as client:
        await client.get("/all/7")
        await client.get("/all/8", headers=HELPER)
        await client.get("/all/9", headers=ANNA)
        shop.crowd()
        answers = {
            (path, who): (await client.get(path, headers=headers)).status_code
            for path in ("/all/7", "/all/8", "/all/9")
            for who, headers in (("nobody", NOBODY), ("guest", {}), ("customer", HELPER), ("staff", ANNA))
        }

    given = {question for question, status in answers.items() if status == 200}
    assert given == {("/all/7", "guest"), ("/all/8", "customer"), ("/all/9", "staff")}
    assert set(answers.values()) == {200, 503}


async def test_a_page_that_stands_in_is_changed_as_the_route_says(shop):
    async with shop.serving() as client:
        first = await client.get("/changed/7")
        shop.crowd()
        page = await client.get("/changed/7")

    assert page.headers["cache-status"] == "kirana; hit"
    assert page.json() == first.json()
    assert "stock" not in page.json()


async def test_a_page_that_is_purged_while_limits_are_asked_about_is_not_given(shop):
    class Purging(FakeWindows):
        def take(self, asked, tell):
            if shop.refused:
                shop.cache.local.purge(["product:7"])
            super().take(asked, tell)

    class WaitingFirst(Limiter):
        def begin(self, limits, keys):
            """As where little room is left."""

    object.__setattr__(shop.parts, "limiter", WaitingFirst(Purging()))
    await shop.parts.limiter.open()
    async with shop.serving() as client:
        await client.get(PATH)
        shop.crowd()
        refused = await client.get(PATH)
    await shop.parts.limiter.close()

    assert (refused.status_code, refused.json()["code"]) == (503, "service.unavailable")
    assert refused.headers["retry-after"] == "1"
    assert len(shop.rpc.calls) == 1


def test_the_way_to_a_kept_page_has_the_stages_in_the_pipelines_order():
    places = [STAGES.index(stage) for stage in WAY]

    assert places == sorted(places)


def test_pages_of_routes_with_plugins_never_stand_in():
    plugins = [{"name": "api-key", "options": {}}]

    assert may_stand_in(a_policy())
    assert not may_stand_in(a_policy(plugins=plugins))
    assert not may_stand_in(SimpleNamespace(cache=None, plugins=[]))
