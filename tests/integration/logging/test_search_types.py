"""Every search of ``kirana logs``, against the types that Elastic publishes for its own clients."""

from datetime import timedelta

import pytest

from kirana.logbook import Query
from kirana.logbook.elastic_search import KEPT, search
from shipper.setup.elasticsearch import STREAMS
from tests.builders.log_lines import BEGIN
from tests.builders.typescript import Typed, type_faults

CLIENT = "@elastic/elasticsearch"
QUERIES = (
    Query(request="r-1", common=frozenset({"rpc.breaker.changed"})),
    Query(part="a*b", trace="f" * 32, user="01a1fe50", service="order", route="product"),
    Query(requests=frozenset({"r-1"}), actions=frozenset({"rpc.call"}), words=frozenset({"failure"})),
    Query(level="warning", status="5xx", slower=timedelta(seconds=2), since=BEGIN, until=BEGIN),
)
POINT = {"index": STREAMS, "keep_alive": KEPT, "allow_partial_search_results": True}


def typed(name, body, of="SearchRequest"):
    return Typed(name, CLIENT, f"estypes.{of}", body)


def test_every_search_has_the_published_type():
    searches = [search(query, "p", after=[1, 2]) for query in QUERIES] + [search(Query(), "p", is_by_length=True)]
    bodies = [typed(f"search{number}", body) for number, body in enumerate(searches)]

    assert type_faults([*bodies, typed("point", POINT, "OpenPointInTimeRequest")]) == ""


@pytest.mark.parametrize("path", [("track_total_hits",), ("pit", "keep_alive"), ("query", "bool", "filter")])
def test_a_misspelt_name_is_found(path):
    at = body = search(Query(), "p")
    *above, last = path
    for key in above:
        at = at[key]
    at[f"{last}x"] = at.pop(last)

    assert f"{last}x" in type_faults([typed("search", body)])
