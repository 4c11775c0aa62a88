"""What people find in Kibana: whole in itself, of fields that lines have, of words that the processes write."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from edge.problems import PROBLEMS
from shipper.setup.kibana import DATA_VIEW, saved_objects
from shipper.setup.settings import FOLDER
from tests.builders import mapping

ROOT = Path(__file__).parents[3]
SEARCHES = json.loads((FOLDER / "kibana" / "searches.json").read_text(encoding="utf-8"))
PANELS = json.loads((FOLDER / "kibana" / "dashboard.json").read_text(encoding="utf-8"))["panels"]
VIEW = json.loads((FOLDER / "kibana" / "data-view.json").read_text(encoding="utf-8"))["data_view"]

COLUMNS = 48
CHARTS = {"metric", "xy", "data_table"}
BUCKET = "BUCKET(@timestamp, 75, ?_tstart, ?_tend)"

AGGREGATED = re.compile(r"(?:STATS|EVAL|,)\s+`?([A-Za-z0-9 ]+?)`?\s*=")
NAMED = re.compile(r"(?<![\w.\"?`])(@timestamp|(?:labels|event|http|service|log|error|user|url|trace|span)\.[a-z_.]+)")
QUOTED = re.compile(r"\"([a-z]+(?:[._][a-z_]+)+)\"")


def queries():
    for panel in PANELS:
        config = panel["config"]
        for holder in [config, *config.get("layers", [])]:
            if "data_source" in holder:
                yield panel["id"], holder["data_source"]["query"], holder


def sources():
    return "".join(
        path.read_text(encoding="utf-8")
        for folder, kind in (("edge", "*.py"), ("rpc_services", "*.py"), ("shared", "*.py"), ("docker/nginx", "*.conf"))
        for path in (ROOT / folder).rglob(kind)
    )


def known_by_name(names):
    return [name for name in names if name not in mapping.named_fields()]


def fields_of_query(text):
    return NAMED.findall(QUOTED.sub('""', text))


def test_every_saved_search_is_an_object_that_kibana_can_import():
    objects = [json.loads(line) for line in saved_objects(SEARCHES).splitlines()]

    assert len({found["id"] for found in objects}) == len(objects) == len(SEARCHES)
    for found in objects:
        source = json.loads(found["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
        (reference,) = found["references"]
        assert found["type"] == "search"
        assert reference == {"id": DATA_VIEW, "name": source["indexRefName"], "type": "index-pattern"}
        assert source["query"]["language"] == "kuery"


def test_the_searches_that_people_ask_for_are_there():
    assert [search["id"].removeprefix("kirana-") for search in SEARCHES] == [
        "request",
        "errors",
        "slow",
        "parked",
        "logins-refused",
    ]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search["id"])
def test_a_search_looks_for_and_shows_fields_that_the_template_names(search):
    asked = fields_of_query(search["query"])

    assert asked
    assert known_by_name([*asked, *search["columns"], *(name for name, _ in search["sort"])]) == []


def test_one_request_reads_in_the_order_of_time():
    assert SEARCHES[0]["sort"] == [["@timestamp", "asc"]]


def test_what_is_searched_for_is_written_somewhere():
    written = sources()
    words = {
        word
        for text in [*(search["query"] for search in SEARCHES), *(query for _, query, _ in queries())]
        for word in QUOTED.findall(text)
    }

    assert len(words) > 10
    assert {word for word in words if f'"{word}"' not in written and word not in PROBLEMS} == set()


def test_what_nginx_answered_itself_is_counted_found_and_told():
    """Its lines have a code and a reason but no route, and no level that says error (docker/nginx/spooled.conf)."""
    by_panel = {panel: query for panel, query, _ in queries()}
    (errors,) = (search for search in SEARCHES if search["id"] == "kirana-errors")

    counted = {panel for panel, query in by_panel.items() if '"front.answered"' in query}
    assert counted == {"requests", "failed", "answers", "codes", "front"}
    assert "or (http.response.status_code >= 500 " in errors["query"]
    assert {"url.path", "labels.code", "labels.reason"} <= set(errors["columns"])


def test_the_503s_of_an_edge_that_is_taken_out_are_no_failures():
    """nginx asks it each two seconds whether it serves, and so gets them for as long as its maintenance lasts."""
    (errors,) = (search["query"] for search in SEARCHES if search["id"] == "kirana-errors")
    counting = {panel: query for panel, query, _ in queries() if "status_code >= 500" in query}

    assert set(counting) == {"failed", "answers", "routes"}
    assert {panel for panel, query in counting.items() if '!= "serving"' not in query} == set()
    assert 'not labels.route : "serving"' in errors


def test_a_line_without_a_route_is_counted_by_the_panels_that_leave_one_out():
    """What nginx answered itself: in ES|QL no comparison with nothing is true."""
    for panel, query, _ in queries():
        if '"front.answered")' in query and '"serving"' in query:
            assert 'WHERE COALESCE(labels.route, "") != "serving"' in query, panel


def test_the_data_view_is_of_the_streams_and_formats_fields_that_are_there():
    stream = json.loads((FOLDER / "elasticsearch" / "stream.json").read_text(encoding="utf-8"))

    assert (VIEW["id"], VIEW["title"], VIEW["timeFieldName"]) == (DATA_VIEW, stream["index_patterns"][0], "@timestamp")
    assert known_by_name(VIEW["fieldFormats"]) == []
    assert "#/view/kirana-request" in VIEW["fieldFormats"]["http.request.id"]["params"]["urlTemplate"]


@pytest.mark.parametrize(("panel", "query", "holder"), list(queries()), ids=[panel for panel, *_ in queries()])
def test_a_panel_asks_for_the_chosen_time_in_our_streams_and_for_fields_that_the_template_names(panel, query, holder):
    assert query.startswith("FROM logs-kirana.*-* | WHERE @timestamp >= ?_tstart AND @timestamp < ?_tend")
    assert fields_of_query(query)
    assert known_by_name(fields_of_query(query)) == [], panel


@pytest.mark.parametrize(("panel", "query", "holder"), list(queries()), ids=[panel for panel, *_ in queries()])
def test_a_panel_shows_only_columns_that_its_query_gives(panel, query, holder):
    given = {BUCKET, *AGGREGATED.findall(query)}
    for grouped in re.findall(r" BY ([^|]+)", query):
        given |= set(re.split(r",\s*(?![^(]*\))", grouped.strip()))
    shown = [item["column"] for kind in ("metrics", "rows", "y") for item in holder.get(kind, [])]
    shown += [holder[kind]["column"] for kind in ("x", "breakdown_by") if kind in holder]

    assert shown
    assert set(shown) <= given


def test_no_panel_lies_on_another_or_beyond_the_edge():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) > 10
    for panel in PANELS:
        assert panel["type"] == "vis"
        assert panel["config"]["type"] in CHARTS
        assert panel["grid"]["x"] + panel["grid"]["w"] <= COLUMNS
    for one, other in combinations((panel["grid"] for panel in PANELS), 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )


def test_a_reader_reads_the_streams_and_changes_nothing():
    role = json.loads((FOLDER / "kibana" / "reader-role.json").read_text(encoding="utf-8"))

    assert role["elasticsearch"]["cluster"] == []
    (indices,) = role["elasticsearch"]["indices"]
    assert indices["names"] == ["logs-kirana.*-*"]
    assert set(indices["privileges"]) == {"read", "read_failure_store", "view_index_metadata"}
    assert role["kibana"] == [{"base": ["read"], "spaces": ["default"]}]
