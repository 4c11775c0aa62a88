"""Bodies that come after their heads: they hold no place while they are awaited, and need one once they are there."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from edge.admission.door import Admission
from shared.resilience.adaptive import LimitPolicy, Priority
from tests.builders.gateway import a_gateway, a_route
from tests.builders.raw_http import HOST
from tests.builders.upstream import Upstream, answer
from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio
PLACES = 4
TIGHT = LimitPolicy(first=4, least=4, shares=(1.0, 0.75))
"""All of which writes may have."""

HEAD = b"POST /things/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Busy:
    """A service that answers when it may; ``begun`` counts what it has whole."""

    def __init__(self):
        self.begun = 0
        self.may_answer = asyncio.Event()

    async def __call__(self, _asked, _reader, writer):
        self.begun += 1
        await self.may_answer.wait()
        writer.write(answer(b"{}"))
        await writer.drain()
        return True


@asynccontextmanager
async def uploading(tmp_path, behave, *, deadline=50, **changes):
    """An edge, the limit of its one service, and that service."""
    route = a_route("send", "POST", idempotency="none", deadline=deadline, **changes)
    async with Upstream("a", behave) as service, a_gateway(tmp_path, route) as edge:
        object.__setattr__(edge.parts, "admission", Admission(TIGHT))
        edge.there_are(service)
        yield edge, edge.parts.admission.limit_of("http.things"), service


async def begun(edge, service, *, count=1):
    """Clients whose heads have come to the service, and whose bodies lack one byte."""
    lines = []
    for _ in range(count):
        lines.append(await asyncio.open_connection("127.0.0.1", edge.port))
        lines[-1][1].write(HEAD + b"{")
    await eventually_async(lambda: len(service.asked) == count)
    return lines


async def told(reader, writer):
    said = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return said


async def test_an_upload_has_a_place_from_when_it_is_whole_to_its_answer(tmp_path):
    busy = Busy()
    async with uploading(tmp_path, busy) as (edge, limit, service):
        lines = await begun(edge, service, count=PLACES)
        while_awaited = limit.in_flight
        for _, writer in lines:
            writer.write(b"}")
        await eventually_async(lambda: busy.begun == PLACES)
        while_served = limit.in_flight
        refused = await edge.client.post("/things/x", content=b"{}")
        busy.may_answer.set()
        answers = [await told(*line) for line in lines]

    assert (while_awaited, while_served, limit.in_flight) == (0, PLACES, 0)
    assert refused.status_code == 503
    assert all(said.startswith(b"HTTP/1.1 200") for said in answers)


async def test_without_a_place_the_end_of_an_upload_waits_and_the_service_has_nothing_whole(tmp_path):
    busy = Busy()
    busy.may_answer.set()
    async with uploading(tmp_path, busy) as (edge, limit, service):
        ((reader, writer),) = await begun(edge, service)
        for _ in range(PLACES):
            limit.enter()
        writer.write(b"}")
        await asyncio.sleep(0.3)
        before = busy.begun
        limit.leave("another", 0.0)
        said = await told(reader, writer)

    assert before == 0
    assert said.startswith(b"HTTP/1.1 200")
    assert limit.in_flight == PLACES - 1


async def test_who_finds_no_place_in_time_is_told_the_same_as_at_the_door_and_nobody_is_blamed(tmp_path):
    busy = Busy()
    async with uploading(tmp_path, busy, deadline=1) as (edge, limit, service):
        ((reader, writer),) = await begun(edge, service)
        for _ in range(PLACES):
            limit.enter()
        writer.write(b"}")
        said = await told(reader, writer)
        outcomes = {name: count for name, count in edge.way("send").outcomes.items() if count}

    assert said.startswith(b"HTTP/1.1 503")
    assert b'"service.unavailable"' in said
    assert b"Too many requests are under way right now" in said
    assert busy.begun == 0
    assert outcomes == {"abandoned": 1}
    assert (limit.in_flight, limit.refused[Priority.WRITE]) == (PLACES, 1)


@pytest.mark.parametrize("taken", [0, PLACES], ids=["at the service", "while waiting for a place"])
async def test_who_goes_away_leaves_no_place_taken(tmp_path, taken):
    busy = Busy()
    async with uploading(tmp_path, busy) as (edge, limit, service):
        ((_, writer),) = await begun(edge, service)
        for _ in range(taken):
            limit.enter()
        writer.write(b"}")
        if taken:
            await asyncio.sleep(0.2)
        else:
            await eventually_async(lambda: busy.begun == 1)
        writer.transport.abort()
        await eventually_async(lambda: edge.reception.open_connections == 0)
        await eventually_async(lambda: limit.in_flight == taken)
        for _ in range(taken):
            limit.leave("another", 0.0)
        await asyncio.sleep(0.2)

    assert limit.in_flight == 0


async def test_an_answer_before_the_body_is_whole_takes_no_place_not_even_when_the_rest_comes(tmp_path):
    async def refuse(_asked, _reader, writer):
        writer.write(answer(b"no", status=403, reason="Forbidden"))
        await writer.drain()
        return True

    async with uploading(tmp_path, refuse) as (edge, limit, service):
        service.reads_bodies = False
        ((reader, writer),) = await begun(edge, service)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"}")
        await told(reader, writer)
        await eventually_async(lambda: edge.reception.open_connections == 0)

    assert limit.in_flight == 0


async def test_a_service_that_breaks_off_gives_the_place_back(tmp_path):
    async def break_off(_asked, _reader, writer):
        writer.transport.abort()
        return False

    async with uploading(tmp_path, break_off) as (edge, limit, service):
        ((reader, writer),) = await begun(edge, service)
        writer.write(b"}")
        said = await told(reader, writer)

    assert said.startswith(b"HTTP/1.1 504")
    assert limit.in_flight == 0


async def test_the_time_that_a_client_takes_to_send_is_not_learned_as_the_services(tmp_path):
    busy = Busy()
    busy.may_answer.set()
    async with uploading(tmp_path, busy) as (edge, limit, service):
        ((reader, writer),) = await begun(edge, service)
        await asyncio.sleep(0.5)
        sent_at = time.perf_counter()
        writer.write(b"}")
        await told(reader, writer)
        after = time.perf_counter() - sent_at
        learned = limit._usual["send"]

    assert learned.count == 1
    assert 0 < learned.total <= after


async def test_a_body_that_is_read_here_needs_a_place_when_it_is_whole(tmp_path):
    rpc = FakeRpc(register_user={"id": "u", "username": "name"})
    parts = replace(collaborators(rpc), admission=Admission(TIGHT))
    limit = parts.admission.limit_of("identity")
    head = b"POST /api/users HTTP/1.1\r\n" + HOST + b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    async with serving(parts) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(head + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(PLACES):
            limit.enter()
        writer.write(b"{}")
        said = await told(reader, writer)

    assert said.startswith(b"HTTP/1.1 503")
    assert b"Too many requests are under way right now" in said
    assert (limit.in_flight, limit.refused[Priority.WRITE], rpc.calls) == (PLACES, 1, [])
