"""Servers come and go; the service stays, says so, and is back by itself."""

from __future__ import annotations

import time
import uuid

import pytest

from tests.builders.waiting import eventually
from tests.contract.caller import Caller
from tests.contract.conftest import is_well

pytestmark = pytest.mark.takes(50)


def test_after_the_broker_was_killed_calls_and_events_flow_again_within_ten_seconds(rabbit, demo, tmp_path):
    # A broker that is killed within seconds of declaring a quorum queue forgets the queue's log (seen with 3.10):
    # after a clean restart the queue is an old one, as it is in every shop but a newly opened one.
    rabbit.end()
    rabbit.start()
    eventually(lambda: is_well(rabbit, "demo"), what="the service after a clean restart")
    caller = Caller(rabbit.connect())
    name = str(uuid.uuid4())
    journal = tmp_path / "journal"
    caller.ask("demo.add_thing", name=name, seconds=1.0, journal=str(journal))  # commits while the broker is away
    eventually(journal.exists, what="the call's start, for what left the queue may still die with the broker")
    caller.connection.collect()

    said = len(demo.log.read_text())
    rabbit.kill()
    eventually(lambda: "ConnectionRefusedError" in demo.log.read_text()[said:], what="a vain attempt to connect")
    said = len(demo.log.read_text())
    rabbit.start()
    eventually(lambda: _listens_again(demo.log.read_text()[said:]), within=10, what="the service at the broker")
    eventually(lambda: is_well(rabbit, "demo"), what="the service after the broker")

    assert demo.lives
    caller = Caller(rabbit.connect())
    counted = eventually(
        lambda: (found := caller.call("demo.count_things", name=name).result)["handled"] and found, what="the event"
    )
    assert (counted["things"], counted["handled"]) == (1, 1)
    caller.connection.close()


def test_a_call_that_is_redelivered_while_it_runs_does_not_run_again(rabbit, demo, tmp_path):
    journal = tmp_path / "journal"
    caller = Caller(rabbit.connect())
    caller.ask("demo.sleep", seconds=6, marker="once", journal=str(journal))
    eventually(journal.exists, what="the call's start")
    caller.connection.collect()

    rabbit.cut_all_connections()
    eventually(lambda: "end once" in journal.read_text(), what="the call's end")
    eventually(lambda: is_well(rabbit, "demo"), what="the service")

    caller = Caller(rabbit.connect())
    eventually(lambda: caller.depth("rpc-demo") == 0)
    caller.call("demo.sleep", seconds=0.5)
    caller.connection.close()
    assert [line.split()[0] for line in journal.read_text().splitlines()] == ["start", "end"]


def test_without_its_database_it_answers_unavailable_and_recovers_by_itself(postgres, caller, demo):
    postgres.kill()
    started = time.monotonic()
    away = caller.call("demo.count_things", name="x")
    sick = caller.call("demo.check_health").result
    took = time.monotonic() - started
    postgres.start()

    assert away.code == "service.unavailable"
    assert (sick["ok"], sick["dependencies"]["broker"]) == (False, "ok")
    assert took < 6
    eventually(lambda: caller.call("demo.check_health").result["ok"], what="health")
    assert demo.lives


def test_a_frozen_broker_is_noticed_and_survived(rabbit, demo):
    eventually(lambda: is_well(rabbit, "demo"), what="the service before the frost")
    said = len(demo.log.read_text())
    rabbit.pause()
    try:
        eventually(lambda: "Too many heartbeats missed" in demo.log.read_text()[said:], what="two missed heartbeats")
    finally:
        rabbit.resume()

    eventually(lambda: is_well(rabbit, "demo"), what="the service after the thaw")
    assert demo.lives


def test_it_starts_and_waits_when_broker_and_database_are_not_there_yet(rabbit, postgres, start, demo):
    demo.end()
    rabbit.end()
    postgres.end()
    early = start("-m", "kirana_demo", name="early")
    eventually(lambda: "broker.away" in early.log.read_text(), what="a vain attempt")

    postgres.start()
    rabbit.start()
    eventually(lambda: is_well(rabbit, "demo"), what="the early service")

    assert early.lives
    assert early.end() == 0
    demo.again()
    eventually(lambda: is_well(rabbit, "demo"), what="the demo service")


def _listens_again(log: str) -> bool:
    """Whether the link that brings calls was opened, which it says when all is declared and consumed."""
    return any('"broker.connected"' in line and '"demo-1 requests"' in line for line in log.splitlines())
