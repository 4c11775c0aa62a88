import json
import random
from datetime import timedelta

import pytest

from kirana.logbook import Query, entries
from kirana.logbook.identifying import id_in, made_at, sought
from tests.builders.log_lines import BEGIN, a_line, ran, served, write


@pytest.fixture(scope="module")
def long_book(tmp_path_factory):
    """Two hours in one file of some hundred kilobytes, a line every two seconds, with what a killed process leaves."""
    spool = tmp_path_factory.mktemp("spool")
    dice = random.Random(7)
    with (spool / "order-1.jsonl").open("w") as file:
        for number in range(3600):
            level = dice.choice(["info"] * 9 + ["warning", "error"])
            user = {"user.id": f"user-{number % 7}-abcdefgh"}
            line = a_line(number * 2, "rpc.call", request=f"r-{number}", level=level, labels={"pad": "x" * 50}, **user)
            written = json.dumps(line)
            file.write((written[:60] if number % 500 == 499 else written) + "\n")
    return spool


QUERIES = {
    "a window": Query(since=BEGIN + timedelta(minutes=50), until=BEGIN + timedelta(minutes=51)),
    "its begin": Query(since=BEGIN + timedelta(minutes=119)),
    "its end": Query(until=BEGIN + timedelta(minutes=1)),
    "a request": Query(request="r-1234"),
    "a level": Query(level="error"),
    "a level in a window": Query(
        level="error", since=BEGIN + timedelta(minutes=30), until=BEGIN + timedelta(minutes=90)
    ),
    "a user": Query(user="user-3-abc"),
    "one of several": Query(requests=frozenset({"r-7", "r-3001"})),
    "a text": Query(text="R-77"),
    "another text": Query(text="r-77"),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_looking_by_bytes_finds_what_reading_every_line_finds(long_book, query):
    found = [line["http"]["request"]["id"] for line in entries(long_book, query)]

    read = []
    for text in (long_book / "order-1.jsonl").read_text().splitlines():
        is_there = not query.text or query.text in text
        if text.endswith("}") and is_there and query.wants(json.loads(text)):
            read.append(json.loads(text)["http"]["request"]["id"])
    assert found == read
    assert found or query.text == "R-77"


@pytest.mark.parametrize("query", [Query(request="r-2"), Query(part="r-2"), Query(requests=frozenset({"r-2", "no"}))])
def test_a_line_that_tells_of_several_requests_is_found_as_that_of_each(tmp_path, query):
    write(tmp_path, a_line(0, "http.request", request=["r-1", "r-2", "r-3"]))

    (found,) = entries(tmp_path, query)
    (together,) = entries(tmp_path, Query(actions=frozenset({"http.request"})))

    assert found["http"]["request"]["id"] == "r-2"
    assert together["http"]["request"]["id"] == ["r-1", "r-2", "r-3"]


def test_a_process_that_wrote_nothing_yet_is_no_fault(tmp_path):
    (tmp_path / "order-1.jsonl").touch()

    assert list(entries(tmp_path, Query(request="r-1"))) == []


def test_lines_written_out_of_order_are_found_at_the_edges_of_a_window(tmp_path):
    write(tmp_path, *(a_line(at, "x", labels={"at": at}) for at in (1.0, 5.0, 4.9, 5.1, 5.05, 9.0)))

    window = Query(since=BEGIN + timedelta(seconds=4.95), until=BEGIN + timedelta(seconds=5.07))

    assert [line["labels"]["at"] for line in entries(tmp_path, window)] == [5.0, 5.05]


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("r-1", "r-1"),
        ('{"code": "x", "request_id": "r-1"}', "r-1"),
        ("HTTP/1.1 503\r\nx-request-id: r-1\r\n\r\n{}", "r-1"),
        ("Trace-7/A", "Trace-7/A"),
        ("01A1FE49E2B671B3BBC97DCF5B8214FE", "01a1fe49-e2b6-71b3-bbc9-7dcf5b8214fe"),
    ],
    ids=["bare", "document", "head", "somebody else's", "without hyphens"],
)
def test_an_id_is_read_however_it_comes(text, id_):
    assert id_in(text) == id_


def test_our_ids_say_when_they_were_made():
    assert made_at("01a1fe49-e2b6-71b3-bbc9-7dcf5b8214fe").isoformat(timespec="seconds") == "2026-11-21T13:26:57+00:00"
    assert made_at("01a1fe49-e2b6-41b3-bbc9-7dcf5b8214fe") is None


def test_a_trace_names_its_request_too(tmp_path):
    write(tmp_path, ran(1.5, "cart.get_cart", request="r-9"), served(2.0, request="r-9"))

    found = sought(tmp_path, id_in("0" * 31 + "1"))

    assert (found.id, len(found.lines)) == ("r-9", 2)
