import pytest
import yaml
from redis.exceptions import TimeoutError as NoAnswer

from edge.rpc.failures import OutcomeUnknown
from edge.rpc.guard import Guard
from edge.rpc.rulings import KEY, Rulings, RulingsAway
from edge.settings import PACKAGED_ROUTES
from edge.upstreams.policy import HttpPolicy
from edge.upstreams.rulings import EveryRuling
from edge.upstreams.upstreams import Upstreams
from shared.resilience.breaker import BreakerState
from tests.builders.gateway import a_route
from tests.fakes.edge import ROUTES, a_token, collaborators, serving

pytestmark = pytest.mark.anyio
ADMIN = {"Authorization": f"Bearer {a_token(scope='edge:admin')}"}


class FakeRulings:
    def __init__(self, fault=None):
        self.fault = fault
        self.held = []

    async def hold(self, service, method, ruling):
        if self.fault:
            raise self.fault
        self.held.append((service, method, ruling))


async def put(service, body, *, rulings=None, headers=ADMIN, routes=ROUTES):
    parts = collaborators()
    object.__setattr__(parts, "rulings", rulings)
    async with serving(parts, routes) as client:
        return await client.put(f"/admin/breakers/{service}", json=body, headers=headers)


async def test_an_administrator_sees_the_breakers():
    async with serving(collaborators()) as client:
        answer = await client.get("/admin/breakers", headers=ADMIN)

    assert answer.json() == {"catalog": {"breaker": "closed"}}


async def test_an_administrator_holds_a_breaker_and_is_told_when_that_is_so_everywhere():
    rulings = FakeRulings()
    answer = await put("catalog", {"state": "open", "method": "get_product"}, rulings=rulings)

    assert answer.status_code == 200
    assert answer.json() == {
        "service": "catalog",
        "method": "get_product",
        "route": None,
        "state": "open",
        "everywhere_within": 1.0,
    }
    assert rulings.held == [("catalog", "get_product", "open")]


async def test_without_a_method_the_whole_service_is_meant():
    rulings = FakeRulings()
    await put("catalog", {"state": "automatic"}, rulings=rulings)

    assert rulings.held == [("catalog", None, "automatic")]


@pytest.mark.parametrize(
    ("service", "body", "status"),
    [
        pytest.param("nobody", {"state": "open"}, 404, id="no such service"),
        pytest.param("catalog", {"state": "open", "method": "nothing"}, 400, id="no such method"),
        pytest.param("catalog", {"state": "ajar"}, 400, id="no such state"),
        pytest.param("catalog", {}, 400, id="no state"),
        pytest.param("catalog", {"state": "open", "route": "get_product"}, 400, id="no route to an HTTP service"),
    ],
)
async def test_what_cannot_be_meant_is_refused(service, body, status):
    rulings = FakeRulings()

    assert (await put(service, body, rulings=rulings)).status_code == status
    assert rulings.held == []


@pytest.mark.parametrize("service", ["catalog", "gone"])
async def test_a_ruling_can_be_lifted_when_no_table_has_the_route_any_more(service):
    rulings = FakeRulings()
    await put(service, {"state": "automatic", "route": "write_review"}, rulings=rulings)

    assert rulings.held == [(service, "write_review", "automatic")]


@pytest.mark.parametrize("rulings", [None, FakeRulings(RulingsAway("away"))], ids=["none kept", "redis away"])
async def test_a_ruling_that_would_not_reach_all_workers_is_not_made(rulings):
    answer = await put("catalog", {"state": "open"}, rulings=rulings)

    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_of_a_ruling_that_may_have_been_made_nobody_is_told_that_it_was_not():
    answer = await put("catalog", {"state": "open"}, rulings=FakeRulings(OutcomeUnknown("no answer")))

    assert (answer.status_code, answer.json()["code"]) == (504, "outcome.unknown")


class PlacesOfRedis(dict):
    """Redis, which can be asked no more once it was told something."""

    async def hgetall(self, _key):
        if self:
            raise NoAnswer("no answer")
        return {}

    async def hset(self, key, place, word):
        self[key, place] = word


async def test_a_ruling_that_was_made_is_told_so_even_if_redis_can_be_asked_no_more():
    redis = PlacesOfRedis()
    answer = await put("catalog", {"state": "open"}, rulings=Rulings(redis, Guard(None, ["catalog"])))

    assert answer.status_code == 200
    assert redis == {(KEY, "catalog"): "open"}


async def test_only_administrators_may():
    rulings = FakeRulings()
    answer = await put("catalog", {"state": "open"}, rulings=rulings, headers={"Authorization": f"Bearer {a_token()}"})

    assert answer.status_code == 403
    assert rulings.held == []


@pytest.fixture
def with_things(tmp_path):
    """The packaged table, and routes to a service that speaks HTTP."""
    table = yaml.safe_load(PACKAGED_ROUTES.read_text())
    part = {"name": "one", "http": {"service": "things", "path": "/one"}, "required": True}
    home = {"name": "all", "path": "/all", "aggregate": {"parts": [part]}, "answer": {"status": 200}}
    table["routes"] += [a_route(), {key: value for key, value in (a_route() | home).items() if key != "http"}]
    (tmp_path / "routes.yaml").write_text(yaml.safe_dump(table))
    return tmp_path / "routes.yaml"


async def test_the_breakers_of_routes_to_http_services_are_seen_beside_the_others(with_things):
    parts = collaborators()
    async with serving(parts, with_things) as client:
        parts.upstreams.rule({"things": {"pass": BreakerState.OPEN}})
        shown = (await client.get("/admin/breakers", headers=ADMIN)).json()
        refused = await client.get("/things/x")

    assert shown["catalog"] == {"breaker": "closed"}
    assert set(shown["things"]["routes"]) == {"pass", "all.one"}
    assert shown["things"]["routes"]["pass"] == {"breaker": "open", "reason": "", "retry_after": 30.0, "held": "open"}
    assert shown["things"]["routes"]["all.one"]["breaker"] == "closed"
    assert refused.status_code == 503


@pytest.mark.parametrize(
    ("body", "held"),
    [
        ({"state": "open"}, ("things", None, "open")),
        ({"state": "closed", "route": "pass"}, ("things", "pass", "closed")),
        ({"state": "automatic", "route": "all.one"}, ("things", "all.one", "automatic")),
    ],
)
async def test_an_administrator_holds_the_breaker_of_a_route_or_of_all_to_its_service(with_things, body, held):
    rulings = FakeRulings()
    answer = await put("things", body, rulings=rulings, routes=with_things)

    assert (answer.status_code, answer.json()["route"]) == (200, body.get("route"))
    assert rulings.held == [held]


@pytest.mark.parametrize("body", [{"route": "get_home"}, {"method": "pass"}, {"method": "pass", "route": "pass"}])
async def test_a_route_to_another_service_is_none_of_this_one(with_things, body):
    rulings = FakeRulings()
    answer = await put("things", body | {"state": "open"}, rulings=rulings, routes=with_things)

    assert answer.status_code == 400
    assert rulings.held == []


async def test_what_is_ruled_reaches_the_routes_to_http_services_too_even_those_that_are_asked_later():
    found = {b"things": b"open", b"things.pass": b"closed", b"catalog": b"open"}

    class Redis:
        async def hgetall(self, _key):
            return found

    upstreams, guard = Upstreams(), Guard(None, ["catalog"])
    rulings, policy = EveryRuling(Redis(), guard, upstreams), HttpPolicy(service="things")
    before = upstreams.way("all.one", policy)
    await rulings.look()
    after = upstreams.way("pass", policy)
    ruled = [before.breaker_state, after.breaker_state, guard.states()["catalog"]["breaker"]]
    found.clear()
    await rulings.look()

    assert ruled == [BreakerState.OPEN, BreakerState.CLOSED, "open"]
    assert [way.told()["held"] for way in (before, after)] == [None, None]


async def test_the_breaker_of_a_service_with_the_longest_name_is_held(tmp_path):
    longest = "s" * 63
    table = yaml.safe_load(PACKAGED_ROUTES.read_text())
    table["routes"].append(a_route(http={"service": longest}))
    (tmp_path / "routes.yaml").write_text(yaml.safe_dump(table))
    rulings = FakeRulings()

    answer = await put(longest, {"state": "open"}, rulings=rulings, routes=tmp_path / "routes.yaml")

    assert answer.status_code == 200
    assert rulings.held == [(longest, None, "open")]
