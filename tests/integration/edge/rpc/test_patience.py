"""What callers with little and with much time are told when nobody takes what they asked for together."""

from __future__ import annotations

import asyncio
import time

import pytest

from edge.rpc.failures import NotExecuted
from edge.rpc.lane import Lane
from shared.contracts import frames
from tests.builders.waiting import eventually
from tests.contract.played import a_played_service
from tests.integration.edge.rpc.calling import a_caller, a_context, method, run
from tests.integration.edge.rpc.plane import RETURNING

pytestmark = pytest.mark.usefixtures("a_patient_link")

NEWS_SECONDS = 3.0
"""What is left for the news to come back in, on a busy machine, too; half of it for whoever has little time."""

LITTLE, MUCH = 4.0, 10.0


@pytest.fixture(autouse=True)
def _returning_policy(broker):
    policy = ("calls", "^rpc-", RETURNING)
    command = ("set_policy", "-p", "kirana", *policy)
    eventually(lambda: broker.ctl(*command) is not None, what="a broker that has begun", despite=AssertionError)


def test_calls_with_little_and_with_much_time_are_both_told_that_nobody_took_them(broker, monkeypatch):
    monkeypatch.setattr(frames, "RETURN_SECONDS", NEWS_SECONDS)

    async def scenario(caller, service):
        lane = Lane(service, broker=caller.broker, pending=caller.pending)  # nobody tries twice here
        note = method("note", service=service, mutating=True)

        async def told(seconds):
            began = time.monotonic()
            with pytest.raises(NotExecuted, match="expired"):
                await lane.call(note, {"value": seconds}, context=a_context(seconds))
            return time.monotonic() - began

        patient, hasty = await asyncio.gather(told(MUCH), told(LITTLE))

        assert dict(lane.coalescer.machine.batch_sizes) == {2: 1}, "asked for together"
        assert hasty < LITTLE < patient < MUCH

    async def work():
        async with a_caller(broker.url, services=()) as caller:
            with a_played_service(broker) as played:
                await scenario(caller, played.name)

    run(work())
