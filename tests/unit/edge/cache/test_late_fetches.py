"""A fetch whose target neither answers nor gives up holds nobody back once its deadline is over."""

import asyncio

import pytest
from sanic import HTTPResponse

from edge.cache.answering import ResponseCache
from edge.cache.fetching import GRACE_SECONDS
from shared.contracts.refusals import DeadlinePassed
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.builders.waiting import eventually_async
from tests.unit.edge.cache.asking import Origin, Shop, a_plan, status_of

pytestmark = pytest.mark.anyio

DEADLINE = 0.05


class Halting(Origin):
    """Whose first answer ``comes`` when the test says so; all others come at once."""

    def __init__(self):
        super().__init__(b"later")
        self.comes, self.stopped = asyncio.Event(), False

    async def __call__(self, exchange):
        if self.seen:
            return await super().__call__(exchange)
        self.seen.append(exchange)
        try:
            await self.comes.wait()
        except asyncio.CancelledError:
            self.stopped = True
            raise
        return HTTPResponse(b"earlier", headers=self.headers)


def a_shop(*, grace=GRACE_SECONDS):
    shop = Shop(origin=Halting(), plan=a_plan(deadline=DEADLINE))
    shop.cache.fetching.grace = grace
    return shop


async def late(shop):
    """The fetch under way, when its deadline is over."""
    await eventually_async(lambda: shop.cache.fetching.flights)
    (flight,) = shop.cache.fetching.flights.values()
    await asyncio.sleep(max(0.0, flight.deadline.remaining()))
    await eventually_async(lambda: flight.deadline.remaining() <= 0)
    return flight


async def test_who_comes_after_its_deadline_fetches_anew_and_all_who_come_then_together():
    shop = a_shop(grace=60.0)
    first = shop.asking()
    await late(shop)

    answers = await asyncio.gather(*(shop.ask() for _ in range(5)))

    assert {one.body for one in answers} == {b"later"}
    assert len(shop.origin.seen) == 2
    first.cancel()


async def test_what_comes_of_it_takes_the_place_of_nothing_that_was_fetched_later():
    shop = a_shop(grace=60.0)
    first = shop.asking()
    await late(shop)
    await shop.ask()

    shop.origin.comes.set()

    assert (await first).body == b"earlier"
    assert (await shop.ask()).body == b"later"
    assert len(shop.origin.seen) == 2


async def test_it_goes_on_no_longer_than_its_last_waiter():
    shop = a_shop(grace=60.0)
    first = shop.asking()
    flight = await late(shop)
    await shop.ask()

    first.cancel()
    await asyncio.wait([flight.task])

    assert shop.origin.stopped


async def test_who_waits_for_it_and_has_time_begins_again_when_it_is_given_up():
    shop = a_shop()
    first = shop.asking(seconds=DEADLINE)
    await asyncio.sleep(0)

    answer = await shop.ask(seconds=60)

    assert answer.body == b"later"
    assert len(shop.origin.seen) == 2
    with pytest.raises(DeadlinePassed):
        await first


async def test_in_the_background_it_is_given_up_too_and_the_old_answer_stands_until_the_next_try():
    shop = Shop(plan=a_plan(deadline=DEADLINE))
    old = await shop.ask()
    shop.clock.at += 20
    shop.origin = Halting()

    stale = [await shop.ask()]
    await shop.settled()
    stale.append(await shop.ask())
    shop.clock.at += 2
    await shop.ask()
    await shop.settled()

    assert [(one.body, status_of(one)) for one in stale] == [(old.body, "kirana; hit; ttl=-10")] * 2
    assert shop.origin.stopped
    assert (await shop.ask()).body == b"later"


async def test_an_instance_that_stops_in_the_middle_of_the_body_is_not_waited_for_by_those_who_come_later(tmp_path):
    async def halting(asked, _reader, writer):
        writer.write(answer(b"whole") if len(one.asked) > 1 else answer(b"half")[:-2])
        await writer.drain()
        return True

    route = a_route(cache={"ttl": 60}, answer={"cache_control": "public"}, deadline=0.5)
    async with Upstream("a", halting) as one, a_gateway(tmp_path, route, cache=ResponseCache()) as edge:
        edge.there_are(one)
        asking = [asyncio.ensure_future(edge.client.get("/things/x"))]
        await eventually_async(lambda: one.asked, what="the request to come")
        (flight,) = edge.parts.cache.fetching.flights.values()
        while not flight.landed.done() and len(asking) < 200:
            asking.append(asyncio.ensure_future(edge.client.get("/things/x")))
            await asyncio.sleep(0.02)
        answers = await asyncio.gather(*asking)

    assert (answers[-1].status_code, answers[-1].text) == (200, "whole")
    assert len(one.asked) == 2
