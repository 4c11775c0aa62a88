import json
from datetime import timedelta

import pytest

from kirana.logbook import Query, entries, follow, parse_ago
from shared.values.times import from_rfc3339


def write(folder, instance, *lines):
    with (folder / f"{instance}.jsonl").open("a") as file:
        file.writelines(line + "\n" for line in lines)


def line(at, *, request="r-1", service="order", level="info", message="x"):
    return json.dumps(
        {
            "@timestamp": f"2025-11-21T10:00:{at:09.6f}Z",
            "message": message,
            "log": {"level": level},
            "service": {"name": service, "node": {"name": f"{service}-1"}},
            "http": {"request": {"id": request}},
        }
    )


def messages(found):
    return [entry["message"] for entry in found]


def test_lines_of_all_processes_come_in_the_order_of_time(tmp_path):
    write(tmp_path, "edge-1", line(1, message="a"), line(3, message="c"))
    write(tmp_path, "order-1", line(2, message="b"), line(4, message="d"))

    assert messages(entries(tmp_path, Query())) == ["a", "b", "c", "d"]


def test_a_request_is_found_by_its_exact_id(tmp_path):
    write(tmp_path, "edge-1", line(1, request="r-1"), line(2, request="r-11"), line(3, request="r-1", message="y"))

    assert messages(entries(tmp_path, Query(request="r-1"))) == ["x", "y"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(service="cart"), ["b"]),
        (Query(service="order-1"), ["a", "c"]),
        (Query(level="warning"), ["b", "c"]),
        (Query(level="error"), ["c"]),
        (Query(since=from_rfc3339("2025-11-21T10:00:02.000000Z")), ["b", "c"]),
    ],
)
def test_only_wanted_lines_are_shown(tmp_path, query, found):
    write(tmp_path, "all", line(1, message="a"), line(2, service="cart", level="warning", message="b"))
    write(tmp_path, "all", line(3, level="error", message="c"))

    assert messages(entries(tmp_path, query)) == found


def test_half_a_line_of_a_killed_process_is_skipped(tmp_path):
    write(tmp_path, "order-1", line(1, message="a"), line(2)[:40], line(3, message="b"))

    assert messages(entries(tmp_path, Query())) == ["a", "b"]


def test_following_shows_what_comes_later_and_who_starts_later(tmp_path):
    write(tmp_path, "order-1", line(1, message="old"))
    later = follow(tmp_path, Query(), pause=lambda _: None)
    first = next(later)
    write(tmp_path, "order-1", line(2, message="new"), line(3)[:30])
    write(tmp_path, "order-2", line(2.5, message="newcomer"))

    second = next(later)

    assert messages(first) == []
    assert messages(second) == ["new", "newcomer"]


def test_following_goes_on_when_a_full_file_is_moved_away(tmp_path):
    write(tmp_path, "order-1", line(1, message="old"))
    later = follow(tmp_path, Query(), pause=lambda _: None)
    next(later)
    write(tmp_path, "order-1", line(2, message="last of the full file"))
    (tmp_path / "order-1.jsonl").rename(tmp_path / "order-1.1.jsonl")
    write(tmp_path, "order-1", line(3, message="first of the new one"))

    assert messages(next(later)) == ["last of the full file", "first of the new one"]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400)])
def test_a_duration_is_read(text, seconds):
    assert parse_ago(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "5y"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="5m"):
        parse_ago(text)
