import os

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
