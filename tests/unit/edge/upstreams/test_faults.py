import json

import pytest

from edge.faults import BadRoutes
from edge.policies import RoutePolicy, Table
from edge.routes import compiled
from edge.upstreams.faults import http_faults
from shared.contracts.checking import read
from shared.contracts.refusals import InvalidRequest
from tests.builders.gateway import a_route

OPTIONAL = {"auth": "optional", "cache": {"ttl": 1, "vary": "caller-class"}}
PRIVATE = {"auth": "required", "cache": {"ttl": 1, "private": True}}


def faults_of(*, http=None, **changes):
    policy = read(RoutePolicy, a_route(http=http, **changes))
    return list(http_faults(policy, Table(rates={}, routes=[])))


def test_a_plain_route_is_in_order():
    assert faults_of() == []
    assert faults_of(http={"path": "/v2/{rest}/all", "balance": "hash", "hash": "header X-Tenant"}) == []
    assert faults_of(http={"balance": "hash", "hash": "caller"}, **PRIVATE) == []


@pytest.mark.parametrize(
    ("http", "changes", "reason"),
    [
        ({"path": "/v2/{other}"}, {}, "no variable 'other'"),
        ({"path": "/v2"}, {}, "'rest' leads nowhere"),
        ({"path": "/../{rest}"}, {}, "no template"),
        ({"path": "/{rest}/{"}, {}, "no template"),
        ({"balance": "hash"}, {}, "/http/hash"),
        ({"hash": "caller"}, {"auth": "required"}, "/http/hash"),
        ({"balance": "hash", "hash": "caller"}, {}, "nobody is known"),
        ({"websocket": True}, {"method": "POST"}, "begins with a GET"),
        ({"websocket": True, "credentials": ["cookie"]}, {}, "visitor's name"),
        ({"credentials": ["authorization"]}, {}, "nobody has checked"),
        ({"versions": {"split": {"a": 0}}}, {}, "no version has a share"),
        ({"versions": {"split": {"a": 1}, "header": {"name": "X-V", "values": {"1": "b"}}}}, {}, "no version 'b'"),
        ({"versions": {"split": {"a": 1}, "sticky": "caller"}}, {}, "nobody is known to stay"),
        ({"ejection": {"first": 20, "longest": 10}}, {}, "shorter than the first"),
        ({"breaker": {"slow": {"seconds": 5}}}, {}, "deadline has passed"),
        ({"service": "edge"}, {}, "would ask itself"),
        ({}, {"arguments": {"rest": "path"}}, "the request itself"),
        ({}, {"idempotency": "accepted"}, "a GET changes nothing"),
        ({"versions": {"split": {"a": 1}}}, {"cache": {"ttl": 1}}, "another"),
        ({"credentials": ["cookie"]}, {"cache": {"ttl": 1}}, "cannot be kept"),
        ({"balance": "hash", "hash": "header X-Shop"}, {"cache": {"ttl": 1}}, "take another balance, or no cache"),
        ({"balance": "hash", "hash": "address"}, {"cache": {"ttl": 1}}, "lead to one instance"),
        ({"balance": "hash", "hash": "caller"}, OPTIONAL, "lead to one instance"),
        ({"balance": "hash", "hash": "address"}, PRIVATE, "lead to one instance"),
    ],
)
def test_words_that_contradict_each_other_are_faults(http, changes, reason):
    assert any(reason in fault for fault in faults_of(http=http, **changes)), faults_of(http=http, **changes)


@pytest.mark.parametrize(
    "http",
    [
        {"service": "http://evil.example"},
        {"service": "127.0.0.1"},
        {"host": "evil.example"},
        {"path": "//evil.example/{rest}"[1:] + "?x"},
        {"balance": "random"},
        {"balance": "hash", "hash": "header"},
        {"retries": 2},
        {"credentials": ["x-user-id"]},
        {"versions": {"split": {}}},
        {"connections": 0},
    ],
    ids=lambda http: next(iter(http)) + "=" + str(next(iter(http.values())))[:12],
)
def test_words_that_mean_nothing_are_refused(http):
    with pytest.raises(InvalidRequest):
        read(RoutePolicy, a_route(http=http))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"call": "catalog.get_product"}, "exactly one of"),
        ({"http": {"service": "things", "path": "/v2"}}, "'rest' leads nowhere"),
        ({"transforms": {"response": {"headers": {"remove": ["ETag"]}}}}, "not for a route to change"),
    ],
    ids=["two targets", "a bad path", "a bad transform"],
)
def test_no_table_with_such_a_fault_is_taken(changes, reason):
    with pytest.raises(BadRoutes) as refused:
        compiled(json.dumps({"rates": {}, "routes": [a_route() | changes]}))

    assert reason in str(refused.value)
