"""What a fetch says of the resource counts, whether or not others may be given the same answer."""

import pytest

from edge.cache.entries import LARGEST_BODY
from tests.unit.edge.cache.asking import Origin, Shop, status_of

pytestmark = pytest.mark.anyio

HAS_GONE = [403, 404, 410]
UNSHAREABLE = {
    "with a cookie": Origin(**{"set-cookie": "session=1"}),
    "varying with everything": Origin(vary="*"),
    "too long": Origin(b"x" * (LARGEST_BODY + 1)),
}
unshareable = pytest.mark.parametrize("origin", UNSHAREABLE.values(), ids=UNSHAREABLE.keys())


def now_says(shop, origin, status):
    shop.origin.body, shop.origin.headers, shop.origin.status = origin.body, origin.headers, status


@unshareable
@pytest.mark.parametrize("status", HAS_GONE)
async def test_a_no_that_nobody_else_may_be_given_replaces_the_old_answer_too(origin, status):
    shop = Shop()
    await shop.ask()
    now_says(shop, origin, status)
    shop.clock.at += 20

    refreshing = await shop.ask()
    await shop.settled()
    after = await shop.ask()

    assert (refreshing.status, status_of(refreshing)) == (200, "kirana; hit; ttl=-10")
    assert (after.status, status_of(after)) == (status, "kirana; fwd=miss")
    assert len(shop.cache.local) == 0


@unshareable
async def test_a_failure_that_nobody_else_may_be_given_is_one_like_any_other(origin):
    shop = Shop()
    await shop.ask()
    now_says(shop, origin, 502)
    shop.clock.at += 20

    answers = []
    for _ in range(3):
        answers.append(await shop.ask())
        await shop.settled()
    shop.clock.at += 1000
    answers.append(await shop.ask())

    assert [status_of(one) for one in answers] == ["kirana; hit; ttl=-10"] * 3 + ["kirana; hit; ttl=-1010"]
    assert len(shop.origin.seen) == 3


@unshareable
async def test_a_success_that_nobody_else_may_be_given_leaves_the_old_answer(origin):
    shop = Shop()
    await shop.ask()
    now_says(shop, origin, 200)
    shop.clock.at += 20

    await shop.ask()
    await shop.settled()

    assert status_of(await shop.ask()) == "kirana; hit; ttl=-10"
