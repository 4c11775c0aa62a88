import os

from shared.logs.holding import BOUND, FOLDER, GIVEN_UP, HELD, birth_of, lines_from
from shared.logs.spool import Spool


def filled(folder, files, *, bound=None):
    """A spool whose file was full so many times."""
    if bound is not None:
        (folder / FOLDER / HELD).mkdir(parents=True)
        (folder / FOLDER / BOUND).write_text(str(bound))
    clock = iter(range(0, 10_000, 2))
    spool = Spool(folder / "edge-1.jsonl", stdout=None, most_bytes=90, clock=lambda: next(clock))
    for number in range(2 * files + 1):
        spool.write(b"%049d\n" % number)
    spool.close()
    return sorted((folder / FOLDER / HELD).iterdir()) if bound is not None else []


def test_where_somebody_ships_no_full_file_is_lost_when_the_next_one_takes_its_place(tmp_path):
    held = filled(tmp_path, 3, bound=10_000)

    assert len(held) == 3
    lines = b"".join(sorted(path.read_bytes() for path in [*held, tmp_path / "edge-1.jsonl"]))
    assert lines.splitlines() == [b"%049d" % number for number in range(7)]


def test_where_nobody_ships_nothing_is_held(tmp_path):
    filled(tmp_path, 3)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge-1.1.jsonl", "edge-1.jsonl"]


def test_twice_the_bound_is_the_most_and_the_lines_of_the_oldest_are_noted_before_they_go(tmp_path):
    held = filled(tmp_path, 10, bound=200)

    assert sum(path.stat().st_size for path in held) == 400
    told = (tmp_path / FOLDER / GIVEN_UP).read_text().splitlines()
    assert len(told) == 10 - len(held)
    assert all('"lines": 2, "bytes": 100' in line for line in told)


def test_a_file_keeps_its_birth_under_every_name_and_has_none_before_its_first_line_is_whole(tmp_path):
    path = tmp_path / "edge-1.jsonl"
    path.write_bytes(b"first")
    file = os.open(path, os.O_RDONLY)
    before = birth_of(file)
    path.write_bytes(b"first\n")
    born = birth_of(file)
    path.rename(tmp_path / "edge-1.1.jsonl")
    with (tmp_path / "edge-1.1.jsonl").open("ab") as more:
        more.write(b"second\n")

    assert before is None
    assert birth_of(file) == born is not None
    os.close(file)


def test_lines_are_counted_from_a_place_on_with_an_unfinished_one(tmp_path):
    (tmp_path / "file").write_bytes(b"one\ntwo\nthree")
    file = os.open(tmp_path / "file", os.O_RDONLY)

    assert [lines_from(file, start) for start in (0, 4, 8, 13)] == [3, 2, 1, 0]
    os.close(file)
