"""What Elasticsearch is asked for is what a spool is read for."""

from datetime import timedelta

import pytest

from kirana.logbook import Query
from kirana.logbook.elastic_search import PAGE, search
from kirana.logbook.entry import of_each_request
from tests.builders.log_lines import BEGIN, a_line, handled, ran, served
from tests.fakes.elasticsearch.searches import matches

USER = "01a1fe50-d8f8-74b9-8132-97b865ec59b6"
LINES = (
    served(1.0, 503, request="r-1", labels={"route": "place_order", "code": "service.unavailable"}, level="warning"),
    served(2.0, 200, request="r-2", took=0.01, **{"user.id": USER}),
    served(3.0, 404, request="a*b", labels={"route": "product"}),
    served(3.1, 503, request=["r-7", "r-8"], labels={"route": "product"}),
    ran(0.9, "catalog.reserve_stock", request="r-1", code="service.unavailable"),
    ran(4.0, "order.place_order", request="r-3", took=3.0, **{"trace.id": "f" * 32}),
    handled(5.0, "order.placed", request="r-3", fault="SMTPException"),
    a_line(6.0, "rpc.breaker.changed", request=None, level="warning", where="edge-2"),
    a_line(6.5, "rpc.breaker.changed", request="r-4", level="warning"),
    a_line(7.0, "order.cart_read", request=None, level="debug"),
    a_line(8.0, "service.started", request=None),
    a_line(9.0, "order.cart_read", request="a-b"),
)
QUERIES = {
    "everything": Query(),
    "one request": Query(request="r-1"),
    "some requests": Query(requests=frozenset({"r-2", "r-3"})),
    "a part": Query(part="r-"),
    "a part with a star": Query(part="a*b"),
    "a trace": Query(trace="f" * 32),
    "a service": Query(service="order"),
    "an instance": Query(service="edge-2"),
    "a route": Query(route="place_order"),
    "a method": Query(route="order.place_order"),
    "a user": Query(user=USER),
    "the beginning of a user": Query(user=USER[:8]),
    "too little of a user": Query(user=USER[:5]),
    "all levels": Query(level="debug"),
    "not debug": Query(level="info"),
    "warnings": Query(level="warning"),
    "a status": Query(status="503"),
    "a class of statuses": Query(status="4XX"),
    "slow ones": Query(slower=timedelta(seconds=2)),
    "actions": Query(actions=frozenset({"rpc.call", "event.handled"})),
    "of all": Query(common=frozenset({"rpc.breaker.changed"})),
    "since": Query(since=BEGIN + timedelta(seconds=4)),
    "until": Query(until=BEGIN + timedelta(seconds=3, milliseconds=50)),
    "several things": Query(service="edge", status="5xx", since=BEGIN, until=BEGIN + timedelta(seconds=2)),
}


def is_wanted(query, line):
    """As :func:`kirana.logbook.scanning.wanted_in` tells it."""
    return any(map(query.wants, of_each_request(line) if query.names_requests else (line,)))


def asked_for(query):
    return [line for line in LINES if matches(search(query, "p")["query"], line)]


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_the_same_lines_are_asked_for_as_are_wanted_of_a_spool(query):
    asked = asked_for(query)

    wanted = [line for line in LINES if is_wanted(query, line)]
    assert asked == wanted


def test_lines_that_tell_of_several_requests_are_asked_for_with_each_of_them():
    assert asked_for(Query(request="r-8")) == [LINES[3]]


@pytest.mark.parametrize("word", ["failure", "warning", "service.started"])
def test_a_word_is_looked_for_as_what_happened_how_it_ended_and_how_bad_it_was(word):
    found = asked_for(Query(words=frozenset({word})))

    assert found == [line for line in LINES if f"'{word}'" in str(line)]


def test_the_longest_work_comes_first_and_what_took_no_time_is_not_asked_for():
    asked = search(Query(), "p", is_by_length=True, size=20)

    assert (asked["sort"][0]["event.duration"]["order"], asked["size"]) == ("desc", 20)
    assert [line for line in LINES if matches(asked["query"], line)] == list(LINES[:7])


def test_no_page_is_larger_than_elasticsearch_gives_and_each_begins_after_the_last():
    first, second = search(Query(), "p", size=50_000), search(Query(), "q", after=[1, 2])

    assert first["size"] == PAGE <= 10_000
    assert "search_after" not in first
    assert (second["search_after"], second["pit"]["id"]) == ([1, 2], "q")
