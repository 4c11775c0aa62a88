from __future__ import annotations

import asyncio

import pytest

from edge.rpc import client
from edge.rpc.failures import NotExecuted, OutcomeUnknown, RemoteRefusal
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.calling import a_caller, a_context, method, run

pytestmark = pytest.mark.usefixtures("stock_service", "a_patient_link")


def test_two_thousand_calls_at_once_each_get_their_own_answer(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            answers = await asyncio.gather(*(caller.echo(number, seconds=30) for number in range(2000)))

            assert answers == list(range(2000))
            assert len(caller.pending) == 0

    run(scenario())


def test_what_python_says_of_a_fault_stays_inside(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            with pytest.raises(RemoteRefusal) as refused:
                await caller.client.call(method("broken"), {}, context=a_context())

        assert refused.value.code == "internal"
        assert refused.value.remote_type == "ValueError"
        assert "secret" not in refused.value.sentence

    run(scenario())


def test_a_call_to_a_service_that_was_never_there_fails_at_once_as_not_executed(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            async with asyncio.timeout(4):  # the deadline is five
                with pytest.raises(NotExecuted):
                    await caller.client.call(method("echo", service="ghost"), {"value": 1}, context=a_context())

            assert caller.consumers.count("stock") == 1

    run(scenario())


def test_a_call_that_outlasts_its_deadline_is_unknown_and_leaves_nothing_behind(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            with pytest.raises(OutcomeUnknown):
                await caller.client.call(method("slow"), {"seconds": 2}, context=a_context(0.4))

            assert len(caller.pending) == 0

    run(scenario())


def test_an_answer_that_comes_too_late_is_dropped_and_counted(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            with pytest.raises(OutcomeUnknown):
                await caller.client.call(method("slow"), {"seconds": 0.4}, context=a_context(0.3))

            await eventually_async(lambda: caller.pending.counts["unclaimed"] == 1)

    run(scenario())


def test_a_cancelled_call_leaves_nothing_behind(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            call = asyncio.create_task(caller.client.call(method("slow"), {"seconds": 60}, context=a_context(60)))
            await eventually_async(lambda: len(caller.pending) == 1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

            assert len(caller.pending) == 0

    run(scenario())


def test_a_call_that_the_broker_forbids_fails_alone_and_the_next_one_works(broker, monkeypatch):
    # The broker closes the channel for it. The next one is tried once more: on a busy machine, too, when it is open.
    monkeypatch.setattr(client, "RETRY_PAUSE", (2.0, 2.0))
    broker.ctl("add_user", "lowly", "lowly")
    own = "^(amq\\.gen.*|nameko-rpc)$"
    broker.ctl("set_permissions", "-p", "kirana", "lowly", "^amq\\.gen.*", own, own)
    broker.ctl("set_topic_permissions", "-p", "kirana", "lowly", "nameko-rpc", "^stock\\.(echo|slow)$", ".*")

    async def scenario():
        async with a_caller(broker.url_of("lowly", "lowly")) as caller:
            await eventually_async(caller.answers)  # frames are forbidden too, as is known from now on
            waiting = asyncio.create_task(caller.client.call(method("slow"), {"seconds": 1}, context=a_context(20)))
            assert await caller.echo("before") == "before"

            with pytest.raises(NotExecuted):
                await caller.client.call(method("broken", mutating=True), {}, context=a_context())

            assert await caller.echo("after", seconds=20) == "after"
            assert (await waiting).result == 1
            assert caller.consumers.count("stock") == 1
            assert caller.broker.counts["opened"] == 1

    run(scenario())


def test_a_reply_queue_that_is_deleted_is_replaced(broker):
    async def scenario():
        async with a_caller(broker.url) as caller:
            first = caller.broker.link()
            first.lose("as if the queue was deleted")
            await eventually_async(caller.answers)

            assert caller.broker.link().reply_to != first.reply_to

    run(scenario())
