import asyncio
import gc

import pytest
from sanic.compat import Header

from edge.cache.local import LocalStore
from edge.problems import Rejected
from edge.rpc.failures import NotExecuted, RemoteRefusal
from edge.tokens import Caller
from tests.unit.edge.cache.asking import Origin, Shop, a_plan, status_of

pytestmark = pytest.mark.anyio

AWAY = NotExecuted("no instance is listening")
NO_SUCH = RemoteRefusal("catalog.product_not_found", "There is no such product.", {})
TOO_MANY = Rejected("quota.exceeded", "Too many requests.")
FAULT = RemoteRefusal("internal", "Something.", {}, remote_type="KeyError")


async def many(shop, count, **asked):
    tasks = [shop.asking(**asked) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_what_was_fetched_is_given_until_it_is_no_longer_fresh():
    shop = Shop()

    first = await shop.ask()
    shop.clock.at += 9.5
    second = await shop.ask()

    assert [status_of(one) for one in (first, second)] == ["kirana; fwd=miss; stored", "kirana; hit"]
    assert (first.headers.get("age"), second.headers["age"]) == (None, "9")
    assert first.body is second.body
    assert len(shop.origin.seen) == 1


async def test_five_hundred_on_a_cold_key_cost_one_call():
    shop = Shop()
    shop.origin.gate.clear()

    tasks = await many(shop, 500)
    shop.origin.gate.set()
    answers = await asyncio.gather(*tasks)

    assert len(shop.origin.seen) == 1
    assert sorted({status_of(one) for one in answers}) == ["kirana; fwd=miss; collapsed", "kirana; fwd=miss; stored"]
    assert len({id(one.headers) for one in answers}) == 500
    assert shop.cache.tallies["get_product"].collapsed == 499


async def test_a_leader_that_goes_away_takes_nobody_along():
    shop = Shop()
    shop.origin.gate.clear()
    leader, *followers = await many(shop, 3)
    await asyncio.sleep(0)

    leader.cancel()
    await asyncio.wait([leader])
    shop.origin.gate.set()
    answers = await asyncio.gather(*followers)

    assert [one.body for one in answers] == [b"{}", b"{}"]
    assert len(shop.origin.seen) == 1


async def test_a_fetch_for_which_nobody_waits_any_more_is_stopped_and_wedges_nobody():
    shop = Shop()
    shop.origin.gate.clear()
    for task in await many(shop, 2):
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await shop.settled()
    shop.origin.gate.set()

    answer = await shop.ask()

    assert status_of(answer) == "kirana; fwd=miss; stored"
    assert len(shop.origin.seen) == 2


async def test_a_follower_gives_up_at_its_own_deadline_and_the_others_do_not():
    shop = Shop()
    shop.origin.gate.clear()
    patient = shop.asking()
    await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await shop.ask()
    shop.origin.gate.set()

    assert (await patient).body == b"{}"


async def test_who_came_late_to_a_fetch_that_ran_out_of_time_begins_again():
    shop = Shop(plan=a_plan(deadline=0.2))
    calls = 0

    async def slow_at_first(exchange):
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.sleep(max(0.0, exchange.deadline.remaining() - 0.05))
            raise NotExecuted("the deadline passed")
        return await Origin(b"late")(exchange)

    shop.origin = slow_at_first
    leader = shop.asking(seconds=0.2)
    await asyncio.sleep(0.01)

    answer = await shop.ask(seconds=5.0)

    assert answer.body == b"late"
    with pytest.raises(NotExecuted):
        await leader


async def test_a_stale_answer_is_given_at_once_while_one_new_one_is_fetched():
    shop = Shop(origin=Origin(b"old"))
    await shop.ask()
    shop.clock.at += 22
    shop.origin.body = b"new"
    shop.origin.gate.clear()

    stale = [await shop.ask() for _ in range(5)]
    shop.origin.gate.set()
    await shop.settled()
    fresh = await shop.ask()

    assert {status_of(one) for one in stale} == {"kirana; hit; ttl=-12"}
    assert {one.body for one in stale} == {b"old"}
    assert (fresh.body, status_of(fresh)) == (b"new", "kirana; hit")
    assert len(shop.origin.seen) == 2


async def test_a_refresh_that_fails_is_not_tried_again_at_once():
    shop = Shop()
    await shop.ask()
    shop.clock.at += 20
    shop.origin.fault = AWAY

    for _ in range(3):
        await shop.ask()
        await shop.settled()
    shop.clock.at += 1.5
    await shop.ask()
    await shop.settled()

    assert len(shop.origin.seen) == 3


async def test_refreshes_in_the_background_are_bounded():
    shop = Shop()
    for number in range(40):
        await shop.ask(product=str(number))
    shop.clock.at += 20
    shop.origin.gate.clear()

    answers = [await shop.ask(product=str(number)) for number in range(40)]
    await asyncio.sleep(0)

    assert {status_of(one) for one in answers} == {"kirana; hit; ttl=-10"}
    assert len(shop.origin.seen) == 40 + 32
    shop.origin.gate.set()
    await shop.settled()


@pytest.mark.parametrize(
    "fault", [AWAY, FAULT, RuntimeError("a bug"), TOO_MANY], ids=["away", "fault", "bug", "too many"]
)
async def test_an_old_answer_stands_in_for_a_failure(fault):
    shop = Shop()
    await shop.ask()
    shop.clock.at += 1000
    shop.origin.fault = fault

    answer = await shop.ask()

    assert answer.status == 200
    assert status_of(answer) == "kirana; hit; ttl=-990"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502])
async def test_an_old_answer_stands_in_for_an_answer_that_says_not_now(status):
    shop = Shop()
    await shop.ask()
    shop.clock.at += 1000
    shop.origin.status = status

    answers = [await shop.ask(), await shop.ask()]
    await shop.settled()

    assert [status_of(one) for one in answers] == ["kirana; hit; ttl=-990"] * 2
    assert len(shop.cache.local) == 1
    assert len(shop.origin.seen) == 2


async def test_an_answer_that_says_no_replaces_the_old_one():
    shop = Shop()
    await shop.ask()
    shop.clock.at += 1000
    shop.origin.status = 403

    answer = await shop.ask()
    await shop.settled()

    assert (answer.status, len(shop.cache.local)) == (403, 0)


async def test_an_old_answer_stands_in_for_one_that_takes_too_long():
    shop = Shop()
    await shop.ask()
    shop.clock.at += 1000
    shop.origin.gate.clear()

    answer = await shop.ask()
    async with asyncio.timeout(0.5):  # who comes later need not be patient all over again
        later = await shop.ask()
    shop.origin.gate.set()
    await shop.settled()

    assert [status_of(one) for one in (answer, later)] == ["kirana; hit; ttl=-990"] * 2
    assert len(shop.origin.seen) == 2
    assert status_of(await shop.ask()) == "kirana; hit"


async def test_too_old_an_answer_stands_in_for_nothing():
    shop = Shop()
    await shop.ask()
    shop.clock.at += 10 + 3600
    shop.origin.fault = AWAY

    with pytest.raises(NotExecuted):
        await shop.ask()


async def test_a_refusal_is_passed_on_and_the_old_answer_forgotten():
    shop = Shop()
    await shop.ask()
    shop.clock.at += 1000
    shop.origin.fault = NO_SUCH

    with pytest.raises(RemoteRefusal):
        await shop.ask()
    await shop.settled()

    assert len(shop.cache.local) == 0


async def test_a_failure_is_told_to_everybody_and_remembered_by_nobody():
    shop = Shop()
    shop.origin.fault = AWAY
    shop.origin.gate.clear()
    tasks = await many(shop, 3)
    shop.origin.gate.set()

    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    shop.origin.fault = None

    assert outcomes == [AWAY] * 3
    assert status_of(await shop.ask()) == "kirana; fwd=miss; stored"
    gc.collect()  # a future whose exception nobody took would complain here


NOT_KEPT = {
    "a cookie": {"set-cookie": "a=b"},
    "a partial answer": {"cache-control": "no-store"},
    "a private answer": {"cache-control": "private, no-cache"},
    "one that varies with everything": {"vary": "*"},
    "a private answer, said in a second line": [("cache-control", "max-age=60"), ("cache-control", "no-store")],
    "one that varies with everything, said in a second line": [("vary", "accept"), ("vary", "*")],
    "one that varies with everything, said last": {"vary": "accept, *"},
}


@pytest.mark.parametrize("headers", NOT_KEPT.values(), ids=NOT_KEPT.keys())
async def test_what_must_not_be_kept_is_passed_on_only(headers):
    shop = Shop(origin=Origin(b"x"))
    shop.origin.headers = Header(headers)

    answers = [await shop.ask(), await shop.ask()]

    assert {status_of(one) for one in answers} == {"kirana; fwd=miss"}
    assert len(shop.cache.local) == 0
    assert len(shop.origin.seen) == 2


@pytest.mark.parametrize("status", [201, 204, 206, 301, 404, 500])
async def test_only_a_plain_success_is_kept(status):
    shop = Shop(origin=Origin(status=status))

    answer = await shop.ask()

    assert (answer.status, status_of(answer)) == (status, "kirana; fwd=miss")
    assert len(shop.cache.local) == 0


PRIVATE = {"auth": "required", "answer": {"cache_control": "private"}, "cache": {"private": True}}
CALLER = Caller(user_id="user-1", session_id="s", scopes=frozenset(), expires_at=0)


@pytest.mark.parametrize("told", ["public, max-age=60", "private, max-age=60"], ids=["public", "private"])
async def test_a_private_answer_tells_every_cache_behind_us_that_it_is_one(told):
    shop = Shop(origin=Origin(**{"cache-control": told}), plan=a_plan(**PRIVATE))

    answers = [await shop.ask(caller=CALLER), await shop.ask(caller=CALLER)]

    assert {"private" in one.headers["cache-control"] for one in answers} == {True}
    assert {"public" in one.headers["cache-control"] for one in answers} == {False}
    assert {one.headers["vary"] for one in answers} == {"Authorization"}
    assert len(shop.origin.seen) == 1


async def test_a_private_answer_that_says_so_in_a_second_line_keeps_its_words():
    shop = Shop(plan=a_plan(**PRIVATE))
    shop.origin.headers = Header([("cache-control", "max-age=60"), ("cache-control", "private")])

    answer = await shop.ask(caller=CALLER)

    assert answer.headers.getall("cache-control") == ["max-age=60", "private"]


async def test_a_cookie_reaches_only_the_one_it_was_set_for():
    shop = Shop(origin=Origin(**{"set-cookie": "session=1"}))
    shop.origin.gate.clear()
    tasks = await many(shop, 3)
    shop.origin.gate.set()

    await asyncio.gather(*tasks)

    assert len(shop.origin.seen) == 3


async def test_a_fetch_that_began_before_a_purge_is_not_kept_nor_joined_after_it():
    shop = Shop(origin=Origin(b"old"))
    shop.origin.gate.clear()
    early = shop.asking()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await shop.cache.purge({"product:7"}, by="test")
    shop.origin.body = b"new"
    late = shop.asking()
    await asyncio.sleep(0)
    shop.origin.gate.set()

    assert (await early).body == b"old"
    assert (await late).body == b"new"
    assert (await shop.ask()).body == b"new"


async def test_a_purge_of_another_tag_leaves_a_fetch_alone():
    shop = Shop()
    shop.origin.gate.clear()
    asked = shop.asking()
    await asyncio.sleep(0)

    await shop.cache.purge({"product:8"}, by="test")
    shop.origin.gate.set()

    assert status_of(await asked) == "kirana; fwd=miss; stored"


@pytest.mark.parametrize("tag", ["product:7", "path:/api/products/7", "all"])
async def test_what_is_purged_is_not_even_given_as_stale(tag):
    shop = Shop()
    await shop.ask()

    await shop.cache.purge({tag}, by="test")
    shop.origin.fault = AWAY

    with pytest.raises(NotExecuted):
        await shop.ask()


async def test_after_a_gap_in_hearing_old_answers_are_only_better_than_nothing():
    shop = Shop(origin=Origin(b"old"))
    await shop.ask()

    shop.cache.distrust()
    shop.clock.at += 0.1
    shop.origin.fault = AWAY
    unheard = await shop.ask()
    shop.origin.fault, shop.origin.body = None, b"new"
    shop.clock.at += 2
    heard = await shop.ask()

    assert (unheard.body, status_of(unheard)) == (b"old", "kirana; hit; ttl=-1")
    assert (heard.body, status_of(heard)) == (b"new", "kirana; fwd=miss; stored")


async def test_what_began_before_the_gap_ended_is_not_kept():
    shop = Shop()
    shop.origin.gate.clear()
    asked = shop.asking()
    await asyncio.sleep(0)

    shop.cache.distrust()
    shop.origin.gate.set()

    assert status_of(await asked) == "kirana; fwd=miss"


async def test_a_client_that_has_it_already_is_told_so_without_a_call():
    shop = Shop()
    await shop.ask(headers={"If-None-Match": '"1-a"'})

    answer = await shop.ask(headers={"If-None-Match": 'W/"1-a"'})
    among_others = await shop.ask(headers=[("If-None-Match", '"other"'), ("If-None-Match", '"1-a"')])

    assert (answer.status, answer.body, among_others.status) == (304, b"", 304)
    assert answer.headers["etag"] == '"1-a"'
    assert answer.headers["cache-control"] == "public, no-cache"
    assert len(shop.origin.seen) == 1


async def test_a_weak_tag_is_as_good_for_a_client_that_has_it_already():
    shop = Shop(origin=Origin(etag='W/"1-a"'))
    await shop.ask()

    answers = [await shop.ask(headers={"If-None-Match": tag}) for tag in ('W/"1-a"', '"1-a"', '"1-b"')]

    assert [one.status for one in answers] == [304, 304, 200]


async def test_what_is_no_success_is_told_to_a_client_that_has_an_old_answer():
    shop = Shop(origin=Origin(status=404))

    assert (await shop.ask(headers={"if-none-match": '"1-a"'})).status == 404


async def test_entries_fetched_together_do_not_expire_together():
    shop = Shop()
    draws = iter([0.0, 0.05, 0.1])
    shop.cache.fetching.dice.uniform = lambda _least, _most: next(draws)
    for product in "123":
        await shop.ask(product=product)

    assert [round(held.fresh_until - 1000, 1) for held in shop.cache.local._held.values()] == [10.0, 9.5, 9.0]


async def test_a_cache_without_room_says_that_it_stores_nothing():
    shop = Shop(local=LocalStore(0))

    answers = [await shop.ask(), await shop.ask()]

    assert {status_of(one) for one in answers} == {"kirana; fwd=miss"}


async def test_closing_stops_what_is_being_fetched_and_tells_who_waits():
    shop = Shop()
    shop.origin.gate.clear()
    asked = shop.asking()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await shop.cache.close()

    with pytest.raises(NotExecuted):
        await asked
