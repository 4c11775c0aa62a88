import asyncio
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from edge.discovery.table import Instance, InstanceTable
from edge.limiting.assembly import make_limiter
from edge.limiting.limiter import Limiter, Patience
from edge.limiting.limits import Limit, LimitsAway
from edge.policies import RateClass
from tests.builders.waiting import eventually_async
from tests.fakes.edge import collaborators
from tests.fakes.windows import FakeWindows

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def a_limit(name="browse", quota=3, window=60, **more):
    return Limit(name, RateClass(quota=quota, window=window, **more))


BROWSE = a_limit()
QUICK = Patience(answer=0.01, opening=0.2, between_looks=0.01, settling=0.01)
UNHURRIED = QUICK._replace(answer=60.0)
"""For tests in which the test itself gives the answers: none of them is given up before."""


@asynccontextmanager
async def a_limiter(shared=None, **more):
    limiter = Limiter(shared or FakeWindows(), **({"patience": QUICK} | more))
    await limiter.open()
    try:
        yield limiter
    finally:
        await limiter.close()


async def take(limiter, *limits, who="1.2.3.4", times=1):
    limits = limits or (BROWSE,)
    keys = tuple(one.key(who) for one in limits)
    return await asyncio.gather(*(limiter.take(limits, keys) for _ in range(times)))


def admitted(verdicts):
    return [all(one.allowed for one in each) for each in verdicts]


async def test_who_comes_in_one_tick_asks_together_and_each_hears_its_own_answer():
    shared = FakeWindows()
    async with a_limiter(shared) as limiter:
        some, others = await asyncio.gather(take(limiter, times=5), take(limiter, who="other", times=2))

    assert shared.asked == [[(("window:browse:1.2.3.4",), 5), (("window:browse:other",), 2)]]
    assert admitted(some) == [True, True, True, False, False]
    assert [each[0].remaining for each in some] == [2, 1, 0, 0, 0]
    assert admitted(others) == [True, True]


async def test_who_comes_while_an_answer_is_awaited_asks_with_the_next():
    shared = FakeWindows()
    waiting = []
    answer, shared.take = shared.take, lambda asked, tell: waiting.append((asked, tell))
    async with a_limiter(shared, patience=UNHURRIED) as limiter:
        first = asyncio.create_task(take(limiter))
        await eventually_async(lambda: waiting)
        later = [asyncio.create_task(take(limiter, who=str(number))) for number in range(3)]
        await asyncio.sleep(0.05)
        assert len(waiting) == 1
        answer(*waiting[0])
        (told,) = await first
        await eventually_async(lambda: len(waiting) > 1)
        for question in waiting[1:]:
            answer(*question)
        await asyncio.gather(*later)

    assert [len(groups) for groups in shared.asked] == [1, 3]
    assert (told[0].remaining, limiter.counts) == (2, {"shared": 4, "local": 0, "unjudged": 0})


async def test_a_request_that_has_gone_spoils_nothing_for_the_others():
    async with a_limiter() as limiter:
        gone, stays = asyncio.create_task(take(limiter)), asyncio.create_task(take(limiter))
        await asyncio.sleep(0)
        gone.cancel()

        assert admitted(await stays) == [True]


async def test_the_limits_of_a_request_are_asked_at_once_and_charged_all_or_none():
    shared = FakeWindows()
    narrow, wide = a_limit("narrow", quota=1), a_limit("wide", quota=10)
    async with a_limiter(shared) as limiter:
        verdicts = await take(limiter, narrow, wide, times=4)

    assert admitted(verdicts) == [True, False, False, False]
    assert [one.name for one in verdicts[-1] if not one.allowed] == ["narrow"]
    assert shared.used["window:wide:1.2.3.4"] == 1


async def test_a_full_window_is_not_asked_about_again_before_it_can_have_room():
    now = [0.0]
    shared = FakeWindows()
    async with a_limiter(shared, monotonic=lambda: now[0]) as limiter:
        await take(limiter, times=4)
        now[0] = 59.0
        known = await take(limiter, times=2)
        asked_before = len(shared.asked)
        now[0] = 60.0
        await take(limiter)

    assert asked_before == 1
    assert admitted(known) == [False, False]
    assert known[0][0].reset == 1
    assert len(shared.asked) == 2
    assert limiter.refused["browse"] == 4


async def test_a_raised_quota_counts_at_once():
    shared = FakeWindows()
    async with a_limiter(shared) as limiter:
        await take(limiter, times=4)

        assert admitted(await take(limiter, a_limit(quota=10))) == [True]


async def test_the_scale_multiplies_the_quota_which_is_never_nothing():
    for scale, quota in ((1000, 3000), (0.01, 1)):
        async with a_limiter(scale=scale) as limiter:
            verdicts = await take(limiter)
            assert verdicts[0][0].quota == quota


@pytest.mark.parametrize("edges", [1, 2, 3])
async def test_alone_each_worker_keeps_its_share_of_the_same_policy(edges):
    shared = FakeWindows()
    shared.fault = ConnectionError()
    async with a_limiter(shared, edges=lambda: edges) as limiter:
        verdicts = await take(limiter, a_limit(quota=6), times=8)

    assert sum(admitted(verdicts)) == 6 // edges
    assert {each[0].quota for each in verdicts} == {6}


def test_edges_that_warn_because_redis_is_away_share_the_quota_all_the_same():
    table = InstanceTable()
    edges = tuple(Instance(f"edge-{number}", "edge", "127.0.0.1", 1, status="warning") for number in range(8))
    limiter = make_limiter(collaborators().settings, table)
    alone = limiter._edges()
    table.replace("edge", edges)

    assert (alone, limiter._edges()) == (collaborators().settings.workers, 8)


async def test_what_redis_admitted_before_it_went_counts_alone_too():
    shared = FakeWindows()
    async with a_limiter(shared) as limiter:
        await take(limiter, times=2)
        shared.fault = ConnectionError()

        assert admitted(await take(limiter, who="another")) == [True]
        assert limiter.is_local
        assert admitted(await take(limiter, times=3)) == [True, False, False]


async def test_a_redis_that_does_not_answer_is_given_up_within_its_time_and_nobody_waits_again():
    shared = FakeWindows()
    async with a_limiter(shared) as limiter:
        shared.is_silent, shared.fault = True, ConnectionError()
        verdicts = await take(limiter, times=2)
        await take(limiter, times=1)

    assert admitted(verdicts) == [True, True]
    assert len(shared.asked) == 1


async def test_an_answer_that_comes_after_it_was_given_up_changes_nothing():
    shared = FakeWindows()
    late = []
    answer, shared.take = shared.take, lambda asked, tell: late.append((asked, tell))
    async with a_limiter(shared) as limiter:
        await take(limiter)
        await eventually_async(lambda: not limiter.is_local)
        answer(*late[0])

        shared.take = answer
        assert admitted(await take(limiter)) == [True]


async def test_back_again_redis_is_told_what_was_admitted_without_it():
    shared = FakeWindows()
    async with a_limiter(shared) as limiter:
        await take(limiter)
        shared.fault = ConnectionError()
        await take(limiter)
        shared.fault = None
        await eventually_async(lambda: not limiter.is_local, within=10)
        assert shared.used["window:browse:1.2.3.4"] == 2

        assert admitted(await take(limiter, times=2)) == [True, False]


class FarWindows(FakeWindows):
    """Whose word takes a while."""

    async def charge(self, charges):
        for _ in range(5):
            await asyncio.sleep(0)
        await super().charge(charges)


async def test_a_worker_that_never_pauses_comes_back_to_redis_too_and_tells_it_everything():
    shared = FarWindows()
    plenty = a_limit(quota=10**9)
    admissions = 0
    async with a_limiter(shared) as limiter:
        shared.fault = ConnectionError()
        await take(limiter)
        shared.fault = None
        for _ in range(10_000):
            await limiter.take((plenty,), (plenty.key("1.2.3.4"),))
            admissions += 1
            await asyncio.sleep(0)
            if not limiter.is_local:
                break
        assert not limiter.is_local
        await eventually_async(lambda: shared.used["window:browse:1.2.3.4"] == admissions + 1)


async def test_a_redis_that_goes_while_it_hears_the_last_word_is_looked_for_again():
    shared = FakeWindows()
    async with a_limiter(shared) as limiter:
        shared.fault = ConnectionError()
        await take(limiter)
        heard, charge = [], shared.charge

        async def charging(charges):
            heard.append(limiter.is_local)
            if heard == [True, True, False]:
                shared.fault = ConnectionError()
            await charge(charges)

        shared.charge, shared.fault = charging, None
        await eventually_async(lambda: shared.fault is not None)
        await eventually_async(lambda: limiter.is_local)
        shared.fault = None
        await eventually_async(lambda: not limiter.is_local)


async def test_a_redis_that_has_forgotten_is_told_everything():
    shared = FakeWindows()
    async with a_limiter(shared) as limiter:
        await take(limiter, times=2)
        shared.forget()
        await take(limiter, who="another")
        await eventually_async(lambda: not limiter.is_local, within=10)

        assert admitted(await take(limiter, times=2)) == [True, False]


async def test_an_absence_is_told_once_with_its_end_and_a_moment_not_at_all():
    shared = FakeWindows()
    with capture_logs() as logs:
        async with a_limiter(shared) as limiter:
            shared.is_silent = True
            await take(limiter)
            shared.is_silent = False
            await eventually_async(lambda: not limiter.is_local)
            before = list(logs)
            shared.fault = ConnectionError()
            await take(limiter, times=20)
            await eventually_async(lambda: shared.opened > 5)
            shared.fault = None
            await eventually_async(lambda: not limiter.is_local)

    assert before == []
    assert [one["event"] for one in logs] == ["edge.limits_are_local", "edge.limits_are_shared_again"]


async def test_a_limit_may_rather_refuse_than_guess():
    shared = FakeWindows()
    shared.fault = ConnectionError()
    async with a_limiter(shared) as limiter:
        with pytest.raises(LimitsAway):
            await take(limiter, BROWSE, a_limit("order", away="refuse"))

        assert admitted(await take(limiter, times=4)) == [True, True, True, False]


async def test_a_limit_may_rather_serve_than_guess():
    shared = FakeWindows()
    shared.fault = ConnectionError()
    async with a_limiter(shared) as limiter:
        assert await take(limiter, a_limit(away="allow"), times=9) == [[]] * 9
