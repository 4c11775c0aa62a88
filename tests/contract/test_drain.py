"""SIGTERM: what runs is finished and answered, what waits goes to the others, nothing is lost or run twice."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import amqp
import pytest

from tests.builders.waiting import eventually
from tests.contract.caller import Caller

pytestmark = pytest.mark.takes(40)

LEAVING = Path(__file__).with_name("leaving_under_eventlet.py")


def test_no_call_is_lost_and_none_runs_twice_when_a_replica_is_told_to_go(caller, start, tmp_path):
    journal = tmp_path / "journal"
    leaver = start("-m", "kirana_demo", name="leaver")
    eventually(lambda: _pids(caller) >= {leaver.pid}, what="the second replica")
    asked = [caller.ask("demo.sleep", seconds=1, marker=str(n), journal=str(journal)) for n in range(60)]
    eventually(lambda: str(leaver.pid) in journal.read_text() if journal.exists() else False, what="work there")

    started = time.monotonic()
    status = leaver.end()

    assert status == 0
    assert time.monotonic() - started < 18
    replies = caller.wait_for_all(asked)
    assert leaver.pid in {reply.result["pid"] for reply in replies}
    lines = [line.split() for line in journal.read_text().splitlines()]
    runs = Counter((what, marker) for what, marker, *_ in lines)
    assert set(runs.values()) == {1}
    assert len(runs) == 120


def test_a_replica_that_waits_for_a_stuck_call_gives_up_in_the_end(caller, start):
    stuck = start("-m", "kirana_demo", name="stuck")
    eventually(lambda: _pids(caller) >= {stuck.pid}, what="the second replica")
    deadline = int((time.time() + 35) * 1000)
    asked = [caller.ask("demo.sleep", seconds=60, headers={"nameko.deadline": deadline}) for _ in range(4)]
    eventually(lambda: caller.depth("rpc-demo") == 0)

    started = time.monotonic()
    stuck.end()

    assert 19 < time.monotonic() - started < 30
    given_up = [reply.body["error"] for reply in caller.wait_for_all(asked) if reply.body["error"]]
    assert {error["exc_args"][0] for error in given_up} == {"outcome.unknown"}


def test_whatever_was_written_before_leaving_counts(rabbit):
    """Of sockets that are just closed, one in eight loses messages, but not the acknowledgement that comes after."""
    caller, leavers, last_messages = Caller(rabbit.connect()), 20, 20
    for queue in ("taken-from", "written-to"):
        caller.channel.queue_declare(queue, durable=True, auto_delete=False)
    for _ in range(leavers):
        caller.channel.basic_publish(amqp.Message(b"a call"), "", "taken-from")

    left = subprocess.run(
        [sys.executable, LEAVING, rabbit.url, str(leavers), str(last_messages)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert left.returncode == 0, left.stderr
    assert caller.depth("taken-from") == 0
    assert caller.depth("written-to") == leavers * last_messages
    caller.connection.close()


def _pids(caller) -> set[int]:
    asked = [caller.ask("demo.sleep", seconds=0.05) for _ in range(9)]
    return {reply.result["pid"] for reply in caller.wait_for_all(asked)}
