import os

import pytest

from shipper.places import Place, Places
from shipper.tail import LONGEST_LINE, Tail

LINE = b'{"@timestamp":"2026-11-21T10:00:00Z","n":"%03d"}\n'
LENGTH = len(LINE % 0)
MANY = (1_000, 2**20)


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "places.json")


@pytest.fixture
def spool_file(tmp_path):
    return tmp_path / "edge-1.jsonl"


def followed(path, places):
    return Tail(os.open(path, os.O_RDONLY), "birth", places)


def settled(taken, **tally):
    taken.stretch.tally.update(tally)
    taken.stretch.settled = True


def test_ids_are_the_birth_and_the_place_whatever_was_read_together(spool_file, places):
    spool_file.write_bytes(b"".join(LINE % number for number in range(4)))
    together = [record.id for record in followed(spool_file, places).take(*MANY, is_whole=False).records]

    tail = followed(spool_file, places)
    alone = [tail.take(1, 2**20, is_whole=False).records[0].id for _ in range(4)]

    assert together == alone == [f"birth-{LENGTH * number:x}" for number in range(4)]


def test_a_line_that_is_being_written_waits_until_it_is_whole(spool_file, places):
    spool_file.write_bytes(LINE % 0 + b'{"@time')
    tail = followed(spool_file, places)

    assert len(tail.take(*MANY, is_whole=False).records) == 1
    assert tail.take(*MANY, is_whole=False) is None
    spool_file.write_bytes(LINE % 0 + LINE % 1)
    assert len(tail.take(*MANY, is_whole=False).records) == 1


def test_the_half_line_at_the_end_of_a_full_file_is_broken_not_waited_for(spool_file, places):
    spool_file.write_bytes(LINE % 0 + b'{"@time')
    tail = followed(spool_file, places)
    tail.take(*MANY, is_whole=True)

    (broken,) = tail.take(*MANY, is_whole=True).broken

    assert (broken.line, broken.reason) == (b'{"@time', "unfinished")
    assert tail.unread == 0


def test_a_line_longer_than_any_of_ours_is_broken_and_the_next_one_read(spool_file, places):
    spool_file.write_bytes(b"x" * (3 * LONGEST_LINE) + b"\n" + LINE % 1)
    tail = followed(spool_file, places)

    taken = tail.take(*MANY, is_whole=False)
    after = tail.take(*MANY, is_whole=False)

    assert [(len(broken.line), broken.reason) for broken in taken.broken] == [(LONGEST_LINE, "too_long")]
    assert len(after.records) == 1


def test_the_place_moves_only_over_what_is_settled_from_the_front_and_counts_with_it(spool_file, places):
    spool_file.write_bytes(b"".join(LINE % number for number in range(3)))
    tail = followed(spool_file, places)
    first, second, third = (tail.take(1, 2**20, is_whole=False) for _ in range(3))

    settled(second, delivered=1)
    tail.settle()
    assert (tail.place.at, places.totals) == (0, {})
    settled(first, dead=1)
    tail.settle()
    assert (tail.place.at, tail.place.lines, places.totals) == (2 * LENGTH, 2, {"delivered": 1, "dead": 1})
    settled(third, delivered=1)
    tail.settle()
    assert tail.is_finished


def test_a_successor_goes_on_at_the_place(spool_file, places):
    spool_file.write_bytes(LINE % 0 + LINE % 1)
    places.files["birth"] = Place(at=LENGTH, lines=1)

    (record,) = followed(spool_file, places).take(*MANY, is_whole=False).records

    assert record.id == f"birth-{LENGTH:x}"


def test_giving_up_counts_what_was_not_read_and_remembers_what_is_under_way(spool_file, places):
    spool_file.write_bytes(b"".join(LINE % number for number in range(5)) + b"half")
    tail = followed(spool_file, places)
    under_way = tail.take(2, 2**20, is_whole=False)

    assert tail.give_up() == 4
    assert places.totals == {"dropped": 4}
    assert tail.place.pending == 2
    settled(under_way, delivered=2)
    tail.settle()
    assert places.totals == {"dropped": 4, "delivered": 2}
    assert tail.place.pending == 0
    assert tail.is_finished
