"""Nobody works for a caller who has gone."""

from __future__ import annotations

import time
import uuid

from rpc_services.workers import MAX_WORKERS
from tests.builders.waiting import eventually
from tests.contract.caller import Reply


def _in(seconds: float) -> dict[str, int]:
    return {"nameko.deadline": int((time.time() + seconds) * 1000)}


def test_a_call_that_comes_too_late_is_not_begun(caller, tmp_path):
    journal = tmp_path / "journal"

    reply = caller.call("demo.sleep", seconds=0, journal=str(journal), headers=_in(-1))

    assert reply.code == "deadline.passed"
    assert not journal.exists()


def test_a_call_that_waited_too_long_for_a_worker_is_not_begun(caller, tmp_path):
    journal = tmp_path / "journal"
    busy = [caller.ask("demo.sleep", seconds=1) for _ in range(MAX_WORKERS)]

    reply = caller.call("demo.sleep", seconds=0, journal=str(journal), headers=_in(0.3))

    assert reply.code == "deadline.passed"
    assert not journal.exists()
    caller.wait_for_all(busy)


def test_a_statement_ends_at_the_deadline(caller):
    def is_told_so() -> bool:
        started = time.monotonic()
        reply = caller.call("demo.break_it", how="statement", headers=_in(0.5))
        assert time.monotonic() - started < 8
        return _is_told_in_time(reply)

    eventually(is_told_so)


def test_what_is_ready_after_the_deadline_is_not_committed(caller, tmp_path):
    def is_told_so() -> bool:
        name = f"late {uuid.uuid4()}"
        journal = tmp_path / name
        reply = caller.call("demo.add_slowly", name=name, seconds=0.65, journal=str(journal), headers=_in(0.6))
        assert caller.call("demo.count_things", name=name).result["things"] == 0
        return journal.exists() and _is_told_in_time(reply)

    eventually(is_told_so)


def test_work_that_does_not_look_at_the_clock_is_stopped_soon_after_the_deadline(caller):
    started = time.monotonic()

    reply = caller.call("demo.sleep", seconds=30, headers=_in(4))

    assert reply.code == "outcome.unknown"
    assert time.monotonic() - started < 15


def _is_told_in_time(reply: Reply) -> bool:
    """Who is not there to say so soon after the deadline is stopped, and nobody knows: that is to be tried again."""
    assert reply.code in {"deadline.passed", "outcome.unknown"}
    return reply.code == "deadline.passed"
