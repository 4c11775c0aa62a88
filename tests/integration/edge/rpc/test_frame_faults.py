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

from shared.resilience.breaker import BreakerPolicy
from tests.builders.proxy import Proxy, Way
from tests.builders.waiting import eventually, eventually_async
from tests.contract.conftest import is_well
from tests.integration.edge.rpc.plane import QUEUE, RETURNING, TRUSTING, Plane, copy_of, drained, out_there, url_at
from tests.integration.edge.rpc.things import Demo, Ledger, Said

pytestmark = pytest.mark.takes(120)


@pytest.fixture(scope="module")
def plane(broker, postgres, tmp_path_factory):
    with Proxy(broker.port) as near_edge, Proxy(broker.port) as near_service:
        demo = Demo(postgres.create("things"), tmp_path_factory.mktemp("logs"))
        service = demo.start(url_at(near_service.port), "things-1")
        plane = Plane(broker, near_edge, near_service, demo, service)
        try:
            plane.policy(RETURNING)
            eventually(lambda: is_well(broker, "demo"), what="the service")
            yield plane
        finally:
            for running in demo.living():
                running.process.send_signal(signal.SIGCONT)
                running.end(signal.SIGKILL)


@pytest.fixture(autouse=True)
def _well_again(plane):
    yield
    for network in (plane.near_edge, plane.near_service):
        network.heal()
        network.cut()
    if not plane.service.lives:
        plane.service.again()
    eventually(lambda: plane.listening() == 1 and is_well(plane.broker, "demo"), what="the service after the test")


def test_a_worker_killed_at_any_moment_loses_doubles_and_denies_no_change(plane):
    async def scenario(ledger):
        for _ in range(4):
            async with out_there(ledger.crowd(longest=0.5)):
                await asyncio.sleep(ledger.chance.uniform(0, 0.7))
                plane.service.end(signal.SIGKILL)
                await asyncio.sleep(ledger.chance.uniform(0, 0.3))
                plane.service.again()
            await eventually_async(ledger.answers, what="an answer of the next worker")

    plane.suffer(scenario)


def test_calls_whose_callers_gave_up_before_a_worker_came_leave_no_trace_in_the_data(plane):
    async def scenario(ledger):
        plane.service.process.send_signal(signal.SIGSTOP)
        await ledger.crowd(changes=40, patience=0.8)
        plane.service.end(signal.SIGKILL)
        assert all(change.said is not Said.ANSWERED for change in ledger.changes)
        plane.service.again()
        await asyncio.to_thread(eventually, lambda: is_well(plane.broker, "demo"))
        await asyncio.sleep(0.5)

        assert ledger.rows() == {}

    plane.suffer(scenario)


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
def test_answers_that_come_too_late_are_dropped_counted_and_given_to_nobody_else(plane):
    async def scenario(ledger):
        plane.near_edge.down.held = True
        await asyncio.sleep(0.05)
        await ledger.crowd(changes=10, reads=0, longest=0, patience=0.9)
        before = ledger.caller.pending.counts["unclaimed"]
        async with out_there(ledger.crowd(changes=10, reads=20, patience=20)):
            await asyncio.sleep(0.02)
            plane.near_edge.heal()
        await eventually_async(lambda: ledger.caller.pending.counts["unclaimed"] > before, what="late ones")
        assert {change.said for change in ledger.changes[10:]} == {Said.ANSWERED}

    plane.suffer(scenario, through=plane.near_edge, breaker=TRUSTING)


@pytest.mark.usefixtures("a_patient_link")
def test_a_full_queue_is_said_at_once_and_serves_again_when_it_has_room(plane):
    async def scenario(ledger):
        with closing(plane.broker.connect()) as connection:
            channel = connection.channel()
            plane.service.end()
            channel.basic_qos(0, 1, a_global=False)
            channel.basic_consume(
                QUEUE, callback=lambda _: None
            )  # somebody listens and takes one frame, but serves it not
            await eventually_async(lambda: ledger.caller.consumers.count("demo") == 1)
            plane.policy('{"dead-letter-exchange": "dlx.rpc", "max-length": 1, "overflow": "reject-publish"}')
            async with out_there(ledger.change(patience=60)):
                await asyncio.sleep(0.3)
                async with out_there(ledger.change(patience=60)):
                    await asyncio.sleep(0.3)
                    began = time.monotonic()
                    refused = [await ledger.change(patience=6), await ledger.change(patience=6)]
                    assert {change.said for change in refused} == {Said.NOT_EXECUTED}
                    assert {change.why for change in refused} == {"the service's queue is full"}
                    assert time.monotonic() - began < 4
                    assert await ledger.read(patience=6) is Said.NOT_EXECUTED
                    connection.collect()
                    plane.service.again()

    try:
        plane.suffer(scenario)
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


@pytest.mark.parametrize("way", ["up", "down"])
def test_an_edge_whose_link_has_become_a_black_hole_hangs_nobody_and_finds_another(plane, way):
    async def scenario(ledger):
        async with out_there(ledger.crowd(reads=0, longest=1.5, patience=1)):
            await asyncio.sleep(0.2)  # the broker has confirmed the frame, so that its silence looks like the service's
            getattr(plane.near_edge, way).swallowed = True
        await eventually_async(lambda: tried_in_vain(ledger), within=15, what="giving up a link that swallows all")
        plane.near_edge.heal()
        plane.near_edge.cut()
        await eventually_async(ledger.answers, within=15, what="an answer over a new connection")

    plane.suffer(scenario, through=plane.near_edge, breaker=BreakerPolicy())


async def tried_in_vain(ledger: Ledger) -> bool:
    await ledger.change(patience=1)
    return not ledger.caller.broker.is_connected


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


def test_a_broker_that_stands_still_for_fifteen_seconds_hangs_nobody_and_denies_nothing(plane):
    async def scenario(ledger):
        stop = asyncio.Event()
        async with out_there(ledger.trickle(stop, patience=2)):
            await asyncio.sleep(ledger.chance.uniform(0.2, 0.6))
            plane.broker.pause()
            await asyncio.sleep(15)
            stop.set()
            plane.broker.resume()
        await eventually_async(ledger.answers, within=30, what="an answer after the thaw")

    plane.suffer(scenario)


def test_a_killed_broker_is_used_again_within_ten_seconds_of_its_return_by_edge_and_service(plane):
    async def scenario(ledger):
        took = []
        for _ in range(2):
            async with out_there(ledger.crowd(longest=0.5)):
                await asyncio.sleep(ledger.chance.uniform(0, 0.6))
                plane.broker.kill()
            await asyncio.to_thread(plane.broker.start)
            began = time.monotonic()
            await eventually_async(ledger.answers, what="an answer after the broker's return")
            took.append(time.monotonic() - began)
        assert plane.service.lives
        assert min(took) < 10, took  # the machine may have been busy the other time

    plane.suffer(scenario)
