import pytest

from edge.policies import RoutePolicy, Table
from edge.transforms.faults import transforms_faults
from shared.contracts.checking import read
from tests.builders.gateway import a_route


def faults_of(transforms, **changes):
    policy = read(RoutePolicy, a_route(transforms=transforms, **changes))
    return list(transforms_faults(policy, Table(rates={}, routes=[])))


def test_harmless_changes_are_in_order():
    request = {"headers": {"set": {"X-Shop": "kirana"}, "remove": ["X-Debug"], "rename": {"X-Old": "X-New"}}}
    response = {"headers": {"remove": ["X-Internal"]}, "json": {"drop": ["cost"]}}

    assert faults_of({"request": request, "response": response}) == []


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Transfer-Encoding", "Content-Length", "Host", "Upgrade", "Authorization", "Cookie", "X-User-Id",
        "X-Forwarded-For", "Via", "X-Request-ID", "Content-Type", "Origin", "Idempotency-Key",
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["remove", "set", "rename"])
def test_no_request_field_is_touched_that_keeps_things_safe(name, verb):
    words = {"remove": [name], "set": {name: "x"}, "rename": {"X-Mine": name}}

    assert any(name in fault for fault in faults_of({"request": {"headers": {verb: words[verb]}}}))


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Transfer-Encoding", "Content-Length", "Content-Security-Policy", "X-Frame-Options", "Set-Cookie",
        "Strict-Transport-Security", "Access-Control-Allow-Origin", "Cache-Control", "Vary", "RateLimit", "ETag",
        "Content-Encoding", "X-Request-ID",
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["remove", "set", "rename"])
def test_no_field_of_an_answer_is_touched_that_keeps_things_safe(name, verb):
    words = {"remove": [name], "set": {name: "x"}, "rename": {name: "X-Mine"}}

    assert any(name in fault for fault in faults_of({"response": {"headers": {verb: words[verb]}}}))


@pytest.mark.parametrize(
    ("transforms", "changes", "reason"),
    [
        ({}, {}, "nothing is changed"),
        ({"request": {}}, {}, "nothing is changed"),
        ({"request": {"json": {"drop": ["a"]}}}, {}, "GET takes no body"),
        ({"response": {"headers": {"set": {"X-A": "1"}, "add": {"x-a": "2"}}}}, {}, "written twice"),
        ({"response": {"json": {"nest": {"a": ["a"]}}}}, {}, "other than itself"),
        ({"response": {"json": {"nest": {"a": ["c"], "b": ["c"]}}}}, {}, "moved twice"),
        ({"response": {"json": {"drop": ["a"], "rename": {"a": "b"}}}}, {}, "dropped before"),
        ({"response": {"json": {"set": {"a": 1}, "nest": {"a": ["b"]}}}}, {}, "moved into"),
        ({"response": {"json": {"drop": ["a"]}}}, {"http": None, "local": "alive"}, "answers itself"),
        ({"request": {"headers": {"remove": ["X-A"]}}}, {"http": None, "call": "a.b"}, "only a service"),
    ],
)  # fmt: skip
def test_changes_that_make_no_sense_are_faults(transforms, changes, reason):
    route = a_route(transforms=transforms) | changes
    policy = read(RoutePolicy, {name: value for name, value in route.items() if value is not None or name == "limits"})

    assert any(reason in fault for fault in transforms_faults(policy, Table(rates={}, routes=[])))
