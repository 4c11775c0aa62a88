"""Several folders that are read as one log."""

from kirana.logbook import Query, entries, follow
from kirana.logbook.reading import first_moment
from kirana.logbook.spools import Together
from tests.builders.log_lines import a_line, write


def names(lines):
    return [line["message"] for line in lines]


def test_lines_of_all_folders_come_in_the_order_of_time(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    write(one, a_line(1.0, "a"), a_line(3.0, "c"))
    write(two, a_line(2.0, "b"), a_line(4.0, "d"))
    both = Together((two, one))

    assert names(entries(both, Query())) == ["a", "b", "c", "d"]
    assert first_moment(both) == "2026-11-21T10:00:01.000000Z"


def test_each_of_them_is_followed(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    write(one, a_line(1.0, "before"))
    fresh = follow(Together((one, two)), Query(), pause=lambda _: None)
    assert next(fresh) == []

    write(one, a_line(2.0, "in one"))
    write(two, a_line(3.0, "in two", where="edge-1"))

    assert names(next(fresh)) == ["in one", "in two"]
