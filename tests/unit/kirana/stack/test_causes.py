import pytest

from kirana.stack.causes import last_lines, likely
from kirana.stack.home import Home


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    for folder in (home.log, home.root / "spool"):
        folder.mkdir()
    return home


@pytest.mark.parametrize(("program", "spool"), [("edge", "edge-1"), ("order-2", "order-2"), ("mail-sink", "mail-sink")])
def test_the_last_words_of_our_own_processes_are_read_from_their_spool(home, program, spool):
    (home.root / "spool" / f"{spool}.jsonl").write_text('{"message": "farewell", "log": {"level": "error"}}\n')

    assert last_lines(home, program) == ("error farewell",)


def test_a_program_that_said_nothing_has_no_last_words(home):
    assert last_lines(home, "postgres") == ()


def test_a_taken_port_is_recognised():
    cause, mend = likely(("OSError: [Errno 98] Address already in use",))

    assert "port" in cause
    assert "kirana" in mend
