import itertools
import json

import pytest

from kirana.stack import causes
from kirana.stack.faults import ServerFailed
from kirana.stack.home import Home
from kirana.stack.waiting import HOPELESS_AFTER, Waiter


class Restarts:
    def __init__(self, counts):
        self._counts = iter(counts)

    def restarts(self):
        return {"postgres": next(self._counts)}


def a_waiter(tmp_path, counts=None):
    home = Home(tmp_path / "home")
    home.make()
    clock = itertools.count()
    waiter = Waiter(
        home,
        Restarts(counts or itertools.repeat(0)),
        ServerFailed,
        clock=lambda: float(next(clock)),
        sleep=lambda _: None,
    )
    return home, waiter


def test_waiting_ends_when_the_probe_is_content(tmp_path):
    _, waiter = a_waiter(tmp_path)
    answers = iter(["not yet", "not yet", ""])

    waiter.wait("postgres", lambda: next(answers), seconds=100)

    assert next(answers, None) is None


def test_a_failure_names_the_process_its_last_words_and_a_remedy(tmp_path):
    home, waiter = a_waiter(tmp_path)
    (home.log / "postgres.log").write_text(
        "\n".join([*(f"line {n}" for n in range(50)), "FATAL: Address already in use"])
    )

    with pytest.raises(ServerFailed) as caught:
        waiter.wait("postgres", lambda: "connection refused", seconds=5)

    assert "postgres did not become ready: connection refused" in str(caught.value)
    assert len(caught.value.log) == causes.LINES
    assert caught.value.cause == "another program took its port"
    assert caught.value.mend


def test_a_process_that_dies_again_and_again_is_not_waited_for(tmp_path):
    counts = itertools.count()
    _, waiter = a_waiter(tmp_path, counts)

    with pytest.raises(ServerFailed):
        waiter.wait("postgres", lambda: "connection refused", seconds=1e9)

    assert next(counts) == HOPELESS_AFTER + 1


def test_last_words_of_a_silent_terminal_come_from_the_log_spool(tmp_path):
    home, _ = a_waiter(tmp_path)
    entry = {"log.level": "error", "message": "broker.away", "error": {"type": "OSError", "message": "refused"}}
    (home.root / "spool" / "order-1.jsonl").write_text(json.dumps(entry) + "\n")

    assert causes.last_lines(home, "order-1") == ("error broker.away OSError refused",)
