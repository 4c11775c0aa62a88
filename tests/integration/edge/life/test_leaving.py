"""An edge that is told to stop: nobody who asked it something goes without an answer."""

import asyncio

import pytest

from tests.builders.waiting import eventually_async
from tests.integration.edge.life.running import AnEdge, Crowd, alone, one_answer, request

pytestmark = pytest.mark.takes(40)


@pytest.mark.parametrize(
    ("workers", "terminate"),
    [(1, AnEdge.terminate), (2, AnEdge.terminate_all)],
    ids=["alone", "two workers that are told twice"],
)
def test_who_has_asked_is_answered_who_comes_is_sent_on_and_then_it_ends(workers, terminate):
    async def scenario(edge):
        slow = asyncio.create_task(alone(edge.port, "/api/products/1200"))
        busy = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(4)]
        for reader, writer in busy:
            writer.write(request("/health/live"))
            assert (await one_answer(reader))[1]["connection"] == "keep-alive"
        await asyncio.sleep(0.1)

        terminate(edge)
        await eventually_async(lambda: len(edge.pids("withdrawn")) == workers)

        ready = await alone(edge.port, "/health/ready")
        busy[0][1].write(request("/health/live"))
        again = await one_answer(busy[0][0])
        assert b" 503 " in ready
        assert (again[0], again[1]["connection"]) == (200, "close")
        for reader, _ in busy:
            assert await asyncio.wait_for(reader.read(), 30) == b""
        answer = await asyncio.wait_for(slow, 30)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        for _, writer in busy:
            writer.close()

    # It drains for longer than it waits for a connection, and that for long: a busy test may ask late.
    with AnEdge(workers=workers, drain_seconds=9, leaving_seconds=8) as edge:
        asyncio.run(scenario(edge))
        assert edge.ended() == 0
        assert len(edge.pids("closed")) == workers
        assert edge.complaints() == []


@pytest.mark.parametrize("workers", [1, 2], ids=["alone", "two workers"])
def test_once_it_has_drained_who_comes_is_refused_at_once_however_long_the_last_request_takes(workers):
    async def scenario(edge):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        whole = request("/health/live")
        writer.write(whole[:-2])
        await asyncio.sleep(0.1)

        edge.terminate()
        await eventually_async(lambda: is_refused(edge.port), within=30, what="a closed port")

        assert edge.process.poll() is None
        writer.write(whole[-2:])
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer

    # It waits for the rest of that request for far longer than a busy machine takes to close the port.
    patience = {"REQUEST_TIMEOUT": 50, "GRACEFUL_SHUTDOWN_TIMEOUT": 60}
    with AnEdge(workers=workers, leaving_seconds=50, sanic=patience) as edge:
        answer = asyncio.run(scenario(edge))
        assert answer.startswith(b"HTTP/1.1 200")
        assert edge.ended() == 0
        assert edge.complaints() == []


async def is_refused(port):
    """Whoever is let in is answered, or hangs: then this does, too, for a second."""
    try:
        await asyncio.wait_for(alone(port, "/health/live"), 1)
    except ConnectionRefusedError:
        return True
    except (TimeoutError, ConnectionResetError):
        pass
    return False


def test_an_edge_with_nobody_there_stays_for_those_who_have_not_heard_that_it_leaves():
    async def scenario(edge):
        edge.terminate()
        await eventually_async(lambda: edge.pids("withdrawn"))
        answers = []
        for _ in range(10):  # a second of three
            answers.append(await alone(edge.port, "/health/live"))
            await asyncio.sleep(0.1)
        return answers

    with AnEdge(drain_seconds=3) as edge:
        answers = asyncio.run(scenario(edge))
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        assert edge.ended() == 0


def test_who_never_finishes_a_request_holds_nothing_up():
    async def scenario(edge):
        lines = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(3)]
        for _, writer in lines[1:]:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        lines[2][1].write(b"b\r\n")
        await asyncio.sleep(0.1)
        edge.terminate()
        ends = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in lines)), 9)  # else it is ten
        for _, writer in lines:
            writer.close()
        return ends

    with AnEdge() as edge:
        silent, *slow = asyncio.run(scenario(edge))
        assert silent == b""
        assert all(end.startswith(b"HTTP/1.1 408") for end in slow)
        assert edge.ended() == 0


def test_a_request_that_outlasts_all_patience_is_cut_without_a_stack_trace():
    async def scenario(edge):
        slow = asyncio.create_task(alone(edge.port, "/api/products/4000"))
        await asyncio.sleep(0.2)
        edge.terminate()
        return await asyncio.gather(slow, return_exceptions=True)

    with AnEdge(sanic={"GRACEFUL_SHUTDOWN_TIMEOUT": 0.3}) as edge:
        asyncio.run(scenario(edge))
        assert edge.ended() == 0
        assert edge.complaints() == []


def test_a_rolling_restart_of_two_edges_under_load_loses_no_request():
    async def scenario(edges):
        async with Crowd([edge.port for edge in edges]) as crowd:
            for edge in edges:
                before = crowd.answered.total()
                await eventually_async(lambda before=before: crowd.answered.total() > before + 100)
                edge.terminate()
                assert await asyncio.to_thread(edge.ended) == 0
                await asyncio.to_thread(edge.start)
            before = crowd.answered.total()
            await eventually_async(lambda: crowd.answered.total() > before + 200)
        return crowd

    with AnEdge() as one, AnEdge() as other:
        first = {one.process.pid, other.process.pid}
        crowd = asyncio.run(scenario([one, other]))
        assert crowd.failures == []
        assert len(crowd.answered) >= 3, "the new processes were asked, too"
        assert one.complaints() == other.complaints() == []
        assert first.isdisjoint({one.process.pid, other.process.pid})
