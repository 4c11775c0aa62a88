"""Who was given hardly any time has failed at nothing: a client that takes it all spoils a service for nobody else."""

import asyncio
import time
from contextlib import suppress

import pytest

from edge.discovery.table import Instance, InstanceTable
from edge.problems import Rejected
from edge.rpc.calls import Deadline
from edge.rpc.failures import Blame
from edge.upstreams.failures import Broken
from edge.upstreams.forwarding import Ask, forward, had_its_share
from edge.upstreams.policy import Ejection, HttpPolicy
from edge.upstreams.pool import Outgoing
from edge.upstreams.upload import Upload
from edge.upstreams.upstreams import Upstreams
from shared.resilience.breaker import BreakerState

pytestmark = pytest.mark.anyio
SEVERAL = 5
POLICY = {"service": "things", "retries": 0, "ejection": Ejection(failures=1)}


class Parts:
    """A body of two bytes. The last one comes ``after`` so many seconds."""

    expecting_continue = False

    def __init__(self, after):
        self._pauses = [0.0, after]

    async def read(self):
        if not self._pauses:
            return None
        if pause := self._pauses.pop(0):
            await asyncio.sleep(pause)
        return b"x"


def a_way(instances=2):
    table = InstanceTable()
    table.replace("things", tuple(Instance(f"{n}", "things", "127.0.0.1", 1) for n in range(instances)))
    upstreams = Upstreams(table)
    return upstreams, upstreams.way("send", HttpPolicy(**POLICY))


def an_ask(seconds, *, after=None):
    body = None if after is None else Upload(Parts(after), 2)
    return Ask(outgoing=Outgoing(method="POST", target="/", fields=[], body=body), deadline=Deadline.after(seconds))


async def hang(_instance, outgoing):
    if outgoing.body is not None:
        async for _ in outgoing.body:
            pass
    await asyncio.Event().wait()


async def answer(_instance, _outgoing):
    return None


async def give(way, asking, *asks):
    async def one(ask):
        with suppress(Broken, Rejected):
            lease, _ = await forward(way, ask, asking)
            lease.release()

    await asyncio.gather(*(one(ask) for ask in asks))


def seen(way):
    return way.breaker_state, way.service.figures()["ejected"], dict(way.outcomes)


async def test_a_client_that_takes_the_time_for_its_body_opens_no_breaker_and_ejects_nobody():
    _, way = a_way()

    await give(way, hang, *(an_ask(0.5, after=0.4) for _ in range(SEVERAL)))

    assert seen(way) == (BreakerState.CLOSED, 0, {"abandoned": SEVERAL})


@pytest.mark.parametrize("after", [None, 0.0], ids=["no body", "a quick body"])
async def test_a_service_that_hangs_has_its_breaker_opened_and_is_left_out(after):
    _, way = a_way()

    await give(way, hang, *(an_ask(0.5, after=after) for _ in range(SEVERAL)))

    assert seen(way) == (BreakerState.OPEN, 1, {"unknown": SEVERAL})


async def test_a_service_that_does_not_take_a_body_is_to_blame_however_long_that_is():
    _, way = a_way()

    async def never_read(_instance, outgoing):
        async for _ in outgoing.body:
            await asyncio.Event().wait()

    await give(way, never_read, *(an_ask(0.5, after=60.0) for _ in range(SEVERAL)))

    assert seen(way) == (BreakerState.OPEN, 1, {"unknown": SEVERAL})


async def test_whatever_took_the_time_before_the_service_was_asked_it_is_not_to_blame():
    _, way = a_way()

    await give(way, answer, an_ask(60.0))
    await give(way, hang, *(an_ask(0.2) for _ in range(SEVERAL)))

    assert seen(way) == (BreakerState.CLOSED, 0, {"answered": 1, "abandoned": SEVERAL})


async def test_when_a_new_table_gives_the_route_less_time_that_is_what_counts():
    upstreams, way = a_way()

    await give(way, answer, an_ask(60.0))
    assert upstreams.way("send", HttpPolicy(**POLICY)) is way
    await give(way, hang, *(an_ask(0.2) for _ in range(SEVERAL)))

    assert seen(way) == (BreakerState.OPEN, 1, {"answered": 1, "unknown": SEVERAL})


async def test_the_second_one_that_is_asked_answers_for_its_own_time_only():
    _, way = a_way()
    way.longest = 10.0
    now = time.monotonic()

    assert had_its_share(way, an_ask(10.0), now - 5.0)
    assert not had_its_share(way, an_ask(10.0), now - 4.0)


async def test_what_is_nobodys_fault_but_the_clients_is_said_so():
    _, way = a_way()

    await give(way, answer, an_ask(60.0))
    with pytest.raises(Broken) as late:
        await forward(way, an_ask(0.2), hang)

    assert late.value.blame is Blame.EDGE
