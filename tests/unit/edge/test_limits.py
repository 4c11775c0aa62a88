import asyncio
import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisIsAway
from structlog.testing import capture_logs

from edge.limits import Limiter, LocalWindows, limit_headers, network_of
from edge.policies import RateClass

RATE = RateClass(quota=3, window=16)


class AwayWindows:
    """Shared windows that can be away; counts how often they are asked."""

    def __init__(self):
        self.asked, self.fault = 0, None

    async def take(self, _key, quota, window):
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return True, quota - 1, window


def take(limiter, who="1.2.3.4", times=1):
    async def several():
        return [await limiter.take("browse", RATE, who) for _ in range(times)]

    return asyncio.run(several())


@given(st.lists(st.floats(0, 3), max_size=120), st.integers(1, 10))
def test_no_span_of_the_windows_length_ever_admits_more_than_the_quota(gaps, quota):
    now, admitted = [0.0], []
    windows = LocalWindows(monotonic=lambda: now[0])

    async def arrive():
        for gap in gaps:
            now[0] += gap
            allowed, _, _ = await windows.take("k", quota, 16)
            if allowed:
                admitted.append(now[0])

    asyncio.run(arrive())

    for index, moment in enumerate(admitted):
        assert bisect.bisect_left(admitted, moment + 16) - index <= quota


def test_a_denied_request_is_not_counted_and_may_come_back_when_told():
    now = [0.0]
    limiter = Limiter(LocalWindows(monotonic=lambda: now[0]), scale=1)

    verdicts = take(limiter, times=10)

    assert [one.allowed for one in verdicts] == [True] * 3 + [False] * 7
    now[0] += verdicts[-1].reset
    assert take(limiter)[0].allowed


def test_callers_do_not_share_a_window():
    limiter = Limiter(LocalWindows(), scale=1)
    take(limiter, "one", times=4)

    assert take(limiter, "two")[0].allowed


def test_the_scale_multiplies_the_quota():
    assert take(Limiter(LocalWindows(), scale=1000))[0].quota == 3000
    assert take(Limiter(LocalWindows(), scale=0.01))[0].quota == 1


@pytest.mark.parametrize("fault", [RedisIsAway(), TimeoutError(), OSError()], ids=lambda fault: type(fault).__name__)
def test_the_same_policy_holds_from_memory_while_redis_is_away_and_it_is_not_asked_each_time(fault):
    shared, now = AwayWindows(), [0.0]
    shared.fault = fault
    limiter = Limiter(shared, scale=1, monotonic=lambda: now[0])

    verdicts = take(limiter, times=5)

    assert [one.allowed for one in verdicts] == [True] * 3 + [False] * 2
    assert shared.asked == 1


def test_the_shared_windows_are_back_by_themselves():
    shared, now = AwayWindows(), [0.0]
    limiter = Limiter(shared, scale=1, monotonic=lambda: now[0])
    shared.fault = RedisIsAway()
    take(limiter, times=5)
    shared.fault = None
    now[0] = 1.5

    assert all(one.allowed for one in take(limiter, times=5))
    assert shared.asked == 6


def test_one_late_answer_is_no_news_and_an_absence_is_told_once_with_its_end():
    shared, now = AwayWindows(), [0.0]
    limiter = Limiter(shared, scale=1, monotonic=lambda: now[0])

    with capture_logs() as logs:
        for fault, seconds in [(TimeoutError(), 1), (None, 3), (RedisIsAway(), 5), (None, 2)]:
            shared.fault = fault
            for _ in range(seconds):
                take(limiter, times=3)
                now[0] += 1.0

    assert [one["event"] for one in logs] == ["edge.limits_are_local", "edge.limits_are_shared_again"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1%eth0", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", "unknown"),
    ],
)
def test_an_ipv6_customer_is_a_network_not_an_address(address, network):
    assert network_of(address) == network


def test_the_headers_are_structured_fields_for_every_limit_that_applies():
    verdicts = take(Limiter(LocalWindows(monotonic=lambda: 0.0), scale=1))

    assert limit_headers(verdicts) == {"ratelimit-policy": '"browse";q=3;w=16', "ratelimit": '"browse";r=2;t=17'}
