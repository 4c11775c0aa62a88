from copy import deepcopy

import pytest
import yaml

from edge.policies import RoutePolicy
from edge.routes import BadRoutes, compiled
from edge.settings import PACKAGED_ROUTES
from shared.contracts.checking import read
from shared.contracts.refusals import InvalidRequest
from tests.builders.tables import LEFT_OUT, a_route

PACKAGED = yaml.safe_load(PACKAGED_ROUTES.read_text())
NOTHING_TAKES_THIS = [[[]]]

OWN = {route["name"]: route for route in PACKAGED["routes"]}
PASSED_ON = {
    "name": "reviews", "method": "PUT", "path": "/reviews/{id}", "summary": "Reviews", "tag": "Reviews",
    "auth": "required", "limits": {"address": "browse", "caller": "change"}, "idempotency": "accepted",
    "access": {"allow": ["10.0.0.0/8"]},
    "http": {
        "service": "reviews", "path": "/v2/{id}", "balance": "hash", "hash": "header X-Tenant", "weights": {"a": 2},
        "versions": {
            "split": {"stable": 9, "canary": 1}, "header": {"name": "X-Canary", "values": {"1": "canary"}},
            "sticky": "caller",
        },
        "credentials": ["authorization"], "ejection": {"first": 1, "longest": 2}, "breaker": {"slow": {"seconds": 2}},
    },
    "transforms": {
        "request": {"headers": {"set": {"X-Shop": "kirana"}}},
        "response": {"json": {"drop": ["a"], "nest": {"b": ["c"]}}},
    },
}  # fmt: skip
TOGETHER = {
    "name": "page", "method": "GET", "path": "/page/{product_id}", "summary": "A page", "tag": "Pages",
    "auth": "required", "limits": None, "answer": {"cache_control": "private, no-cache"},
    "cache": {"ttl": 5, "private": True, "tags": ["product:{product_id}", "q:{q}"]},
    "aggregate": {
        "parts": [
            {
                "name": "product", "required": True, "call": "catalog.get_product",
                "arguments": {"product_id": "path"}, "hide": ["version"],
            },
            {
                "name": "others", "required": False, "call": "catalog.list_products", "arguments": {"q": "query"},
                "fixed": {"limit": 3}, "page": True, "fallback": [],
            },
            {"name": "things", "required": False, "http": {"service": "things", "path": "/x/{product_id}"}},
        ]
    },
}  # fmt: skip


def faults_of(*routes, **changes):
    table = {"rates": PACKAGED["rates"], "routes": list(routes)} | changes
    try:
        compiled(yaml.safe_dump(table, sort_keys=False))
    except BadRoutes as refused:
        return [fault.detail for fault in refused.faults]
    return []


def places(data, at=()):
    if at:
        yield at
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, part in parts:
        yield from places(part, (*at, name))


def spoilt(route, place):
    changed = deepcopy(route)
    around = changed
    for step in place[:-1]:
        around = around[step]
    around[place[-1]] = NOTHING_TAKES_THIS
    return changed


def is_read(route):
    try:
        read(RoutePolicy, route)
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize(
    "route",
    [OWN["list_products"], OWN["checkout"], OWN["log_in"], OWN["purge_cache"], PASSED_ON, TOGETHER],
    ids=lambda route: route["name"],
)
def test_a_word_that_cannot_be_read_makes_no_other_look_wrong(route):
    assert faults_of(route) == []

    for place in places(route):
        changed = spoilt(route, place)
        if not is_read(changed):
            at = "/" + "/".join(str(step) for step in place)
            assert [told for told in faults_of(changed) if not told.startswith(at)] == []


@pytest.mark.parametrize("name", ["list_products", "checkout", "log_in", "get_home"])
def test_a_word_that_is_spelled_wrongly_makes_no_other_look_wrong(name):
    for word in OWN[name]:
        route = {(known if known != word else word[:-1]): value for known, value in OWN[name].items()}

        assert {told.partition(":")[0] for told in faults_of(route)} <= {f"/{word}", f"/{word[:-1]}"}


@pytest.mark.parametrize(
    "unread",
    [
        {"colour": "red"},
        {"auth": "maybe"},
        {"auth": LEFT_OUT},
        {"deadline": 0},
        {"idempotency": "sometimes"},
        {"answer": {"status": 418, "hide": ["nme"]}},
        {"limits": {"address": 7, "caller": "nope"}},
        {"cache": {"ttl": -1, "tags": ["product:{nothing}"]}},
        {"tag": "", "scopes": "world:rule"},
    ],
    ids=str,
)
def test_a_word_that_cannot_be_read_hides_no_other_fault(unread):
    wrong = {
        "arguments": {"product_id": "path", "colour": "query"},
        "limits": {"address": "nope"},
        "scopes": ["world:rule"],
        "answer": {"hide": ["nme"]},
        "cache": {"ttl": 5, "tags": ["product:{nothing}"]},
    }

    told = faults_of(a_route(**(wrong | unread)))

    assert [reason for reason in told if "'colour' is not a field" in reason]
    assert [reason for reason in told if "'nope'" in reason]
    assert "/scopes/0: there is no scope 'world:rule'" in told or "scopes" in unread
    assert "/answer/hide/0: there is no 'nme' in the answer" in told
    assert "/cache/tags/0: 'nothing' is no argument from the path or the query" in told


def test_every_fault_of_a_route_that_is_wrong_in_all_ways_is_told_once():
    route = {
        **OWN["get_product"], "colour": "red", "limits": {"address": "nope"}, "call": "catalog.bake", "auth": "maybe",
    }  # fmt: skip
    route["cache"] = {**route["cache"], "tags": ["product:{nothing}"]}

    assert [told.partition(":")[0] for told in faults_of(route)] == [
        "/call", "/auth", "/limits/address", "/cache/tags/0", "/colour",
    ]  # fmt: skip


def test_a_path_that_cannot_be_read_still_has_its_variables():
    route = a_route(path="/API/{product_id}/{nothing}", cache={"ttl": 5, "tags": ["q:{q}"]})

    told = faults_of(route)

    assert [reason.partition(":")[0] for reason in told] == ["/path", "/cache", "/cache/tags/0"]


def test_what_stands_twice_is_told_of_routes_that_cannot_be_read_too():
    one, other = a_route(), a_route(deadline=0)

    assert "/name: the name stands twice" in faults_of(one, other)
    assert "/path: another route has GET /api/products/{product_id}" in faults_of(one, other)


def test_what_cannot_be_read_is_not_taken_for_the_same():
    told = faults_of(a_route(name=7, method="FETCH"), a_route(name=8, method="FETCH"))

    assert [reason.partition(":")[0] for reason in told] == ["/name", "/method"] * 2


def test_faults_outside_the_routes_hide_none_of_what_limits_the_unrouted():
    told = faults_of(a_route(), unrouted="nope", colour="red")

    assert sorted(told) == ["/colour: This field is not known here.", "/unrouted: no rate class 'nope'"]
    assert len(faults_of(a_route(), unrouted="Not A Name", colour="red")) == 2
