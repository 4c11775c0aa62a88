"""A broker that stands still as a service leaves: the service ends in its time, and what it did has one effect."""

from __future__ import annotations

import time
import uuid

import pytest

from tests.builders.waiting import eventually

pytestmark = pytest.mark.takes(60)

CHANGES = 40
RUN_SECONDS = 1.0


@pytest.fixture
def broker(rabbit):
    """If it is frozen here, it thaws whatever comes."""
    yield rabbit
    rabbit.resume()


@pytest.fixture
def journal(tmp_path):
    """Where the service writes what it begins."""
    (tmp_path / "journal").touch()
    return tmp_path / "journal"


@pytest.mark.parametrize("first", ["the signal", "the frost"])
def test_what_a_leaving_service_has_done_is_told_and_has_one_effect(caller, start, broker, journal, first):
    """Its answers and its farewell lie unread: it waits for the broker's word in vain, and goes without."""
    leaver = start("-m", "kirana_demo", name=f"leaver-{first.split()[-1]}")
    eventually(lambda: caller.consumers("rpc-demo") == 2, what="the second replica")
    names = [f"{uuid.uuid4()}" for _ in range(CHANGES)]
    asked = [
        caller.ask("demo.add_thing", name=name, seconds=RUN_SECONDS, marker=name, journal=str(journal))
        for name in names
    ]
    eventually(lambda: str(leaver.pid) in journal.read_text(), every=0.01, what="work there")

    steps = [leaver.process.terminate, broker.pause]
    for step in steps if first == "the signal" else reversed(steps):
        step()
    began = time.monotonic()
    status = leaver.process.wait(60)
    took = time.monotonic() - began
    broker.resume()

    assert (status, "service.drain_gave_up" in leaver.log.read_text()) == (0, False)
    told = {reply.result["name"] for reply in caller.wait_for_all(asked)}
    assert told == set(names)
    for name in names:
        eventually(lambda name=name: _effects(caller, name) == (1, 1), what=lambda n=name: _effects(caller, n))
    print(f"{first}: left after {took:.1f} s")


def _effects(caller, name):
    """Rows of the thing, and how often its event was handled."""
    counted = caller.call("demo.count_things", name=name).result
    return counted["things"], counted["handled"]
