"""The edge's client, a broker, a service of ours and its database: whatever breaks, no caller is told a falsehood.

``KIRANA_CHAOS_SEED`` repeats the moments of an earlier run.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import closing

import amqp
import pytest

from tests.builders.proxy import Proxy, Way
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.doubling import Doubling, copy_of
from tests.integration.edge.rpc.mortal_edge import CUT_SHORT, MortalEdge
from tests.integration.edge.rpc.plane import FULL_WITH_ONE, QUEUE, RETURNING, TRUSTING, drained, out_there
from tests.integration.edge.rpc.things import Said

pytestmark = pytest.mark.takes(150)

QUEUE_FULL = "the service's queue is full"
STILL_RUNNING = "idempotency.still_running"


def test_a_worker_killed_at_any_moment_loses_doubles_and_denies_no_change(plane):
    async def scenario(ledger):
        for _ in range(4):
            async with out_there(ledger.crowd(longest=0.5)):
                await asyncio.sleep(ledger.chance.uniform(0, 0.7))
                plane.service.end(signal.SIGKILL)
                await asyncio.sleep(ledger.chance.uniform(0, 0.3))
                plane.service.again()
            await eventually_async(ledger.answers, what="an answer of the next worker")

    plane.suffer(scenario, with_events=True)


@pytest.mark.usefixtures("a_patient_link")
def test_an_edge_killed_at_any_moment_loses_and_doubles_nothing_and_its_client_may_ask_another(plane, tmp_path):
    """What it had out runs or does not, answers to nobody, and is asked for once more through the edge beside it."""

    async def scenario(ledger):
        pid, stop, died_with = plane.service.pid, asyncio.Event(), []
        async with out_there(ledger.trickle(stop, hands=2, patience=30)):
            try:
                for number in range(5):
                    (folder := tmp_path / str(number)).mkdir()
                    with MortalEdge(plane.broker.url, ledger.database, folder, ledger.chance.random()) as edge:
                        await eventually_async(edge.has_answered, what="a change through the edge that is to die")
                        await asyncio.sleep(ledger.chance.uniform(0, 0.7))
                        edge.die()
                        died_with += edge.changes()
            finally:
                stop.set()

        assert any(change.history == [CUT_SHORT] for change in died_with), "none died with a change in its hands"
        assert {change.said for change in ledger.changes} == {Said.ANSWERED}, "the edge beside them noticed"
        assert set(ledger.tally) == {"read answered"}
        ledger.changes += died_with
        assert (plane.service.pid, plane.service.lives) == (pid, True)

    plane.suffer(scenario, with_events=True)


def test_what_callers_gave_up_before_a_worker_came_leaves_no_trace_in_the_data_whenever_it_comes(plane):
    """It comes in the middle of their deadlines: a new one, or the old one thawed with all of it in its hands."""

    async def scenario(ledger):
        gone = set()
        for is_new in ledger.chance.sample([True, True, False, False], 4):
            before = len(ledger.changes)
            plane.service.process.send_signal(signal.SIGSTOP)
            async with out_there(ledger.stragglers(changes=30, patience=(0.3, 4.0))):
                await asyncio.sleep(ledger.chance.uniform(0.8, 2.5))
                if is_new:
                    plane.service.end(signal.SIGKILL)
                gone |= {change.name for change in ledger.changes[before:] if change.until < time.monotonic()}
                plane.service.again() if is_new else plane.service.process.send_signal(signal.SIGCONT)
            await eventually_async(ledger.answers, what="an answer of whoever came")
        await asyncio.sleep(0.3)

        assert gone
        assert gone.isdisjoint(ledger.rows())

    plane.suffer(scenario, breaker=TRUSTING)


@pytest.mark.usefixtures("a_patient_link")
def test_a_frame_that_is_delivered_twice_changes_everything_once(plane):
    async def scenario(ledger):
        plane.service.end()
        with closing(plane.broker.connect()) as connection:
            channel = connection.channel()
            taken: list[amqp.Message] = []
            channel.basic_qos(0, 1, a_global=False)
            channel.basic_consume(QUEUE, callback=taken.append)
            await eventually_async(lambda: ledger.caller.consumers.count("demo") == 1)
            async with out_there(ledger.crowd(patience=60)):  # the service starts anew meanwhile
                await eventually_async(lambda: taken or drained(connection), what="the frame")
                for _ in range(2):  # and a third time when this connection has gone
                    channel.basic_publish_confirm(copy_of(taken[0]), "nameko-rpc", "demo.batch")
                connection.collect()
                plane.service.again()
        assert {change.said for change in ledger.changes} == {Said.ANSWERED}
        unclaimed = ledger.caller.pending.counts
        await eventually_async(lambda: unclaimed["unclaimed"] == 50, what="two more answers to everything")

    plane.suffer(scenario)


@pytest.mark.usefixtures("a_patient_link")
def test_frames_that_come_again_while_they_wait_run_or_are_done_change_everything_once(plane):
    async def scenario(ledger):
        with Doubling(plane.broker, ledger.chance.random(), longest=0.5) as doubling:
            for _ in range(5):
                await ledger.crowd(longest=0.3, patience=60)
                await asyncio.sleep(ledger.chance.uniform(0, 0.3))
            await eventually_async(lambda: doubling.doubled >= 5, what="a second one of each frame")
        assert {change.why for change in ledger.changes} <= {"", STILL_RUNNING}, "the second one may answer first"
        await eventually_async(lambda: len(ledger.rows()) == len(ledger.changes), what="all of them in the data")

    plane.suffer(scenario, with_events=True)


@pytest.mark.usefixtures("a_patient_link")
def test_answers_that_come_too_late_are_dropped_counted_and_given_to_nobody_else(plane):
    async def scenario(ledger):
        def came_late():
            """A starved service may come upon a call only when it has expired, and send it back."""
            counts = ledger.caller.pending.counts
            return counts["unclaimed"] + counts["expired"]

        for number in range(20):
            if number >= 4 and came_late():  # where time is scarce, some rounds end before anything is sent
                break
            before, earlier = len(ledger.changes), came_late()
            patience = ledger.chance.uniform(0.5, 1)
            async with out_there(ledger.crowd(changes=10, reads=5, longest=0.5, patience=patience)):
                await asyncio.sleep(ledger.chance.uniform(0, 0.3))
                plane.near_edge.down.held = True
            in_time = len(ledger.changes)
            async with out_there(ledger.crowd(changes=10, reads=20, patience=20)):
                await asyncio.sleep(ledger.chance.uniform(0, 0.3))
                plane.near_edge.heal()
            if Said.UNKNOWN in {change.said for change in ledger.changes[before:in_time]}:
                await eventually_async(lambda n=earlier: came_late() > n, what="late ones")
            assert {change.said for change in ledger.changes[in_time:]} == {Said.ANSWERED}
        assert came_late()

    plane.suffer(scenario, through=plane.near_edge, breaker=TRUSTING)


@pytest.mark.usefixtures("a_patient_link")
def test_a_full_queue_is_said_at_once_and_serves_again_when_it_has_room(plane):
    """Nobody serves meanwhile: those who are in hear nothing, and those who are not are told why."""

    async def scenario(ledger):
        machine = ledger.caller.client.lanes["demo"].coalescer.machine
        for _ in range(2):
            plane.service.end()
            taken: list[amqp.Message] = []
            first = len(ledger.changes)
            with closing(plane.broker.connect()) as connection:
                channel = connection.channel()
                channel.basic_qos(0, 1, a_global=False)
                channel.basic_consume(QUEUE, callback=taken.append)
                await eventually_async(lambda: ledger.caller.consumers.count("demo") == 1)
                await asyncio.to_thread(plane.policy, FULL_WITH_ONE)
                async with out_there(ledger.change(patience=60)):
                    await eventually_async(lambda c=connection, t=taken: t or drained(c), what="a frame in hand")
                    async with out_there(ledger.change(patience=60)):
                        await eventually_async(
                            lambda: machine.in_flight == 2 and not machine.slots_taken, what="a frame in the queue"
                        )
                        await ledger.crowd(changes=20, reads=5, within=0.5, patience=6)
                        assert machine.in_flight == 2, "they wait for whoever serves"
                        await asyncio.sleep(ledger.chance.uniform(0, 0.3))
                        connection.collect()
                        plane.service.again()
            accepted, refused = ledger.changes[first : first + 2], ledger.changes[first + 2 :]
            assert {change.said for change in accepted} == {Said.ANSWERED}
            assert {(change.said, change.why) for change in refused} == {(Said.NOT_EXECUTED, QUEUE_FULL)}
            assert ledger.rows().keys().isdisjoint(change.name for change in refused)
            await asyncio.to_thread(plane.policy, RETURNING)
        assert ledger.tally[f"read not executed {QUEUE_FULL}"] == 10

    try:
        plane.suffer(scenario, breaker=TRUSTING)
    finally:
        plane.policy(RETURNING)


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("side", ["near_edge", "near_service"])
def test_a_connection_reset_in_the_middle_of_a_frame_costs_no_truth(plane, side, way):
    network: Proxy = getattr(plane, side)
    direction: Way = getattr(network, way)

    async def scenario(ledger):
        for _ in range(3):
            direction.bytes_left = int(10 ** ledger.chance.uniform(0.5, 4.1))
            async with out_there(ledger.crowd(longest=0.1)):
                await asyncio.sleep(ledger.chance.uniform(0.05, 0.3))
                network.cut()
            await eventually_async(ledger.answers, within=30, what="an answer over a new connection")

    plane.suffer(scenario, through=plane.near_edge)


@pytest.mark.usefixtures("a_patient_link")
def test_slow_networks_on_both_sides_delay_answers_and_spoil_none(plane):
    async def scenario(ledger):
        for _ in range(3):
            for way in (plane.near_edge.up, plane.near_edge.down, plane.near_service.up, plane.near_service.down):
                way.delay = ledger.chance.uniform(0, 0.2)
            await ledger.crowd(patience=20)
        assert {change.said for change in ledger.changes} == {Said.ANSWERED}
        plane.near_edge.heal()
        plane.near_service.heal()

    plane.suffer(scenario, through=plane.near_edge)


def test_a_service_that_was_cut_off_with_a_frame_in_hand_is_not_said_to_have_done_nothing(plane):
    async def scenario(ledger):
        for _ in range(3):
            plane.near_service.up.swallowed = True
            async with out_there(ledger.crowd(longest=0.1, patience=1.5)):
                await asyncio.sleep(ledger.chance.uniform(0.5, 0.9))
                plane.near_service.refuses = True
                plane.near_service.cut()
            plane.near_service.heal()
            await eventually_async(ledger.answers, within=10, what="an answer over a new connection")

    plane.suffer(scenario, through=plane.near_edge)


@pytest.mark.usefixtures("a_patient_link")
def test_a_rolling_restart_under_load_fails_nobody(plane):
    async def scenario(ledger):
        second = plane.demo.start(plane.broker.url, "things-2")
        await eventually_async(lambda: plane.are_listening(2), what="both")
        stop = asyncio.Event()
        async with out_there(ledger.trickle(stop, patience=10)):
            try:
                for running in (plane.service, second):
                    await asyncio.sleep(ledger.chance.uniform(0, 0.5))
                    assert await asyncio.to_thread(running.end) == 0
                    running.again()
                    await eventually_async(lambda: plane.are_listening(2), what="both again")
            finally:
                stop.set()
        second.end()

        assert {change.said for change in ledger.changes} == {Said.ANSWERED}
        assert set(ledger.tally) == {"read answered"}

    plane.suffer(scenario)


def test_a_broker_that_stands_still_for_moments_and_for_fifteen_seconds_hangs_nobody_and_denies_nothing(plane):
    async def scenario(ledger):
        for longest in (1.0, 2.5, 4.0):  # about as long as a confirm, and as the link, is waited for
            await stand_still(ledger, ledger.chance.uniform(0.2, longest))
        await stand_still(ledger, 15)

    async def stand_still(ledger, seconds):
        stop = asyncio.Event()
        async with out_there(ledger.trickle(stop, patience=2)):
            await asyncio.sleep(ledger.chance.uniform(0.2, 0.6))
            plane.broker.pause()
            await asyncio.sleep(seconds)
            stop.set()
            plane.broker.resume()
        await eventually_async(ledger.answers, within=30, what="an answer after the thaw")

    plane.suffer(scenario)


def test_a_killed_broker_is_used_again_within_ten_seconds_of_its_return_by_edge_and_service(plane):
    async def scenario(ledger):
        took = []
        for _ in range(3):
            async with out_there(ledger.crowd(longest=0.5)):
                await asyncio.sleep(ledger.chance.uniform(0, 0.6))
                plane.broker.kill()
            await asyncio.to_thread(plane.broker.start)
            began, late_before = time.monotonic(), ledger.lateness.seconds
            await eventually_async(ledger.answers, what="an answer after the broker's return")
            took.append(time.monotonic() - began - (ledger.lateness.seconds - late_before))
        print(f"answered {', '.join(f'{seconds:.1f}' for seconds in took)} s after the broker's returns")
        assert plane.service.lives
        assert max(took) < 10, took

    plane.suffer(scenario)
