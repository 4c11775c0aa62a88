"""Who shares a read with somebody hastier has the whole of its own time, whatever becomes of the other."""

from __future__ import annotations

import asyncio
import json

import pytest

from edge.rpc.failures import CallFailure, NotExecuted, OutcomeUnknown
from tests.builders.waiting import eventually
from tests.contract.played import a_played_service
from tests.integration.edge.rpc.calling import a_caller, a_context, method, run
from tests.integration.edge.rpc.plane import RETURNING

pytestmark = pytest.mark.usefixtures("a_patient_link")

LITTLE, MUCH = 5.0, 60.0


def sharing(broker, scenario):
    """Two ask for the same in one turn, the hasty one first; then ``scenario`` has the service."""

    async def work():
        async with a_caller(broker.url, services=()) as caller:
            with a_played_service(broker) as played:
                look = method("look", service=played.name)
                hasty, patient = (
                    asyncio.create_task(caller.guard.call(look, {"value": 1}, context=a_context(seconds)))
                    for seconds in (LITTLE, MUCH)
                )
                await scenario(played, hasty, patient)
                assert caller.client.lanes[played.name].coalescer.machine.counts["shared"] == 1

    run(work())


def answer(played, asked):
    (call,) = json.loads(asked.body)["calls"]
    played.answer_calls(asked, {"id": call["id"], "result": "found", "error": None})


def test_an_answer_that_is_too_late_for_the_first_is_in_time_for_the_other(broker):
    async def scenario(played, hasty, patient):
        asked = await asyncio.to_thread(played.take)
        with pytest.raises(OutcomeUnknown):
            await hasty
        await asyncio.sleep(LITTLE)
        assert not patient.done()

        answer(played, asked)

        assert (await patient).result == "found"

    sharing(broker, scenario)


def test_a_read_that_nobody_took_in_the_time_of_the_first_is_still_there_for_the_other(broker):
    """Where calls expire, it does so in the time of the most patient of those who share it."""
    policy = ("calls", "^rpc-", RETURNING)
    eventually(
        lambda: broker.ctl("set_policy", "-p", "kirana", *policy) is not None,
        what="a broker that has begun",
        despite=AssertionError,
    )

    async def scenario(played, hasty, patient):
        with pytest.raises(CallFailure) as told:
            await hasty
        assert not isinstance(told.value, NotExecuted), "it was not asked for alone, and may yet be served"
        await asyncio.sleep(LITTLE)

        answer(played, await asyncio.to_thread(played.take))

        assert (await patient).result == "found"

    sharing(broker, scenario)
