import os
import threading

from shared.logs import spool as spool_module
from shared.logs.spool import Spool


def test_lines_are_appended_to_what_an_earlier_process_wrote(tmp_path):
    path = tmp_path / "spool" / "order-1.jsonl"
    for line in (b"first\n", b"second\n"):
        spool = Spool(path, stdout=None)
        spool.write(line)
        spool.close()

    assert path.read_bytes() == b"first\nsecond\n"


def test_a_closed_pipe_is_counted_not_raised():
    reader, writer = os.pipe()
    os.close(reader)
    spool = Spool(None, stdout=writer)

    spool.write(b"line\n")

    assert spool.dropped == 1
    os.close(writer)


def test_a_folder_that_cannot_be_made_is_counted_not_raised(tmp_path):
    (tmp_path / "file").write_text("")

    spool = Spool(tmp_path / "file" / "order-1.jsonl", stdout=None)
    spool.write(b"line\n")

    assert spool.dropped == 1


def test_two_writers_of_one_file_do_not_mix_their_lines(tmp_path):
    one, other = (Spool(tmp_path / "edge.jsonl", stdout=None) for _ in range(2))

    for _ in range(200):
        one.write(b"a" * 500 + b"\n")
        other.write(b"b" * 700 + b"\n")

    lines = set((tmp_path / "edge.jsonl").read_bytes().splitlines())
    assert lines == {b"a" * 500, b"b" * 700}


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def a_bounded(path, clock):
    return Spool(path, stdout=None, most_bytes=100, clock=clock)


def test_a_spool_never_holds_more_than_two_full_files(tmp_path):
    clock = Clock()
    spool = a_bounded(tmp_path / "order-1.jsonl", clock)

    for number in range(50):
        spool.write(b"%049d\n" % number)
        clock.now += 2

    now, before = tmp_path / "order-1.jsonl", tmp_path / "order-1.1.jsonl"
    assert sorted(tmp_path.iterdir()) == [before, now]
    assert before.read_bytes() + now.read_bytes() == b"".join(b"%049d\n" % number for number in (46, 47, 48, 49))


def test_writers_of_one_file_move_it_away_once_and_all_go_on_in_the_new_one(tmp_path):
    clock = Clock()
    one, other = (a_bounded(tmp_path / "edge-1.jsonl", clock) for _ in range(2))
    one.write(b"old" * 40 + b"\n")
    clock.now += 2

    one.write(b"one\n")
    other.write(b"other\n")

    assert (tmp_path / "edge-1.jsonl").read_bytes() == b"one\nother\n"
    assert (tmp_path / "edge-1.1.jsonl").read_bytes() == b"old" * 40 + b"\n"


def test_a_writer_that_learns_late_of_the_new_file_loses_no_line(tmp_path):
    clock, late = Clock(), Clock()
    one, other = a_bounded(tmp_path / "edge-1.jsonl", clock), a_bounded(tmp_path / "edge-1.jsonl", late)
    one.write(b"old" * 40 + b"\n")
    clock.now += 2
    one.write(b"one\n")

    other.write(b"late\n")

    assert (tmp_path / "edge-1.1.jsonl").read_bytes().endswith(b"late\n")


def test_a_spool_that_was_deleted_is_begun_anew(tmp_path):
    clock = Clock()
    spool = a_bounded(tmp_path / "order-1.jsonl", clock)
    (tmp_path / "order-1.jsonl").unlink()
    clock.now += 2

    spool.write(b"line\n")

    assert (tmp_path / "order-1.jsonl").read_bytes() == b"line\n"


def test_the_lines_of_one_turn_are_written_together(tmp_path):
    turn = []
    spool = Spool(tmp_path / "edge.jsonl", stdout=None)
    spool.gather(turn.append)

    spool.write(b"one\n")
    spool.write(b"two\n")
    before = (tmp_path / "edge.jsonl").read_bytes()
    for flush in turn:
        flush()

    assert before == b""
    assert len(turn) == 1
    assert (tmp_path / "edge.jsonl").read_bytes() == b"one\ntwo\n"


def test_what_was_gathered_when_the_loop_ends_is_written_and_then_each_line_by_itself(tmp_path):
    spool = Spool(tmp_path / "edge.jsonl", stdout=None)
    spool.gather(lambda _: None)

    spool.write(b"one\n")
    spool.gather(None)
    spool.write(b"two\n")

    assert (tmp_path / "edge.jsonl").read_bytes() == b"one\ntwo\n"


def test_a_line_of_another_thread_waits_for_no_loop(tmp_path):
    spool = Spool(tmp_path / "edge.jsonl", stdout=None)
    spool.gather(lambda _: None)

    other = threading.Thread(target=spool.write, args=(b"elsewhere\n",))
    other.start()
    other.join()

    assert (tmp_path / "edge.jsonl").read_bytes() == b"elsewhere\n"


def test_a_line_that_comes_while_the_gathered_are_written_is_one_of_the_next_turn(tmp_path, monkeypatch):
    turn = []
    spool = Spool(tmp_path / "edge.jsonl", stdout=None)
    spool.gather(turn.append)
    write = spool_module.posix.write

    def interrupted(descriptor, lines):
        if len(turn) == 1:
            spool.write(b"of a finaliser\n")
        return write(descriptor, lines)

    monkeypatch.setattr(spool_module.posix, "write", interrupted)
    spool.write(b"one\n")
    for flush in turn:
        flush()

    assert (tmp_path / "edge.jsonl").read_bytes() == b"one\nof a finaliser\n"
