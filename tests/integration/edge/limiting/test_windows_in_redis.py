"""The script in a real Redis, against the plainest account of the same rules; the test holds Redis's clock."""

import asyncio
from collections import defaultdict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from edge.limiting.limiter import Limiter, Patience
from edge.limiting.limits import Limit
from edge.limiting.scripts import CHARGE, EPOCH, TAKE
from edge.limiting.shared_windows import Charge, RedisWindows
from edge.policies import RateClass

CLOCK = "redis.call('TIME')"
SECOND = 1_000_000
MILLISECOND = 1_000
UNHURRIED = Patience(answer=10, opening=10)


class Account:
    """What the rules say, without any economy: a window is all its admissions."""

    def __init__(self):
        self.admissions = defaultdict(list)

    def take(self, now, wanted, checks):
        for key, _, window in checks:
            is_ahead = self.admissions[key][-1:] > [now + SECOND]
            self.admissions[key] = [one for one in self.admissions[key] if one > now - window and not is_ahead]
        room = min(max(0, quota - len(self.admissions[key])) for key, quota, _ in checks)
        admitted = min(wanted, room)
        oldest = {key: self._oldest(key, quota, now) for key, quota, _ in checks}
        for key, _, _ in checks:
            self.admissions[key] += [now] * admitted
        return [
            admitted,
            *(
                number
                for key, quota, window in checks
                for number in (max(0, quota - len(self.admissions[key])), oldest[key] + window - now)
            ),
        ]

    def _oldest(self, key, quota, now):
        kept = self.admissions[key]
        return kept[max(0, len(kept) - quota)] if kept else now


class Scripts:
    """Both scripts with a clock of the test's own."""

    def __init__(self, server):
        self.client, self._raw = server.client, Redis(port=server.port)
        self.client.flushall()
        self.now = 1_700_000_000 * SECOND
        self._take, self._charge = (
            self.client.register_script(text.replace(CLOCK, "redis.call('MGET', 'seconds', 'microseconds')"))
            for text in (TAKE, CHARGE)
        )

    def take(self, *groups):
        self._tell_time()
        keys, arguments = [EPOCH], [1]
        for wanted, checks in groups:
            arguments += [wanted, len(checks)]
            for key, quota, window in checks:
                keys.append(key)
                arguments += [quota, window // MILLISECOND]
        answer = self._take(keys=keys, args=[msgspec.msgpack.encode(arguments)], client=self._raw)
        return msgspec.msgpack.decode(answer)[1:]

    def charge(self, key, window, *pairs):
        self._tell_time()
        self._charge(keys=[key], args=[window, len(pairs), *(number for pair in pairs for number in pair)])

    def _tell_time(self):
        self.client.mset({"seconds": self.now // SECOND, "microseconds": self.now % SECOND})


WINDOWS = {"a": 10 * SECOND, "b": 25 * SECOND}
checks = st.one_of(
    *(st.tuples(st.tuples(st.just(key), st.integers(1, 6), st.just(window))) for key, window in WINDOWS.items()),
    st.tuples(*(st.tuples(st.just(key), st.integers(1, 6), st.just(window)) for key, window in WINDOWS.items())),
)
fixed = {"a": 3, "b": 5}
groups = st.lists(st.tuples(st.integers(1, 4), st.sampled_from([("a",), ("b",), ("a", "b")])), min_size=1, max_size=3)
gaps = st.one_of(st.integers(0, 3), st.integers(0, 12 * SECOND), st.sampled_from([10 * SECOND, 25 * SECOND]))


@settings(max_examples=60)
@given(st.lists(st.tuples(gaps, groups), max_size=25))
def test_redis_keeps_the_account_that_the_rules_ask_for(server, steps):
    scripts, account = Scripts(server), Account()
    moments = defaultdict(list)

    for gap, asked in steps:
        scripts.now += gap
        told = [(wanted, [(key, fixed[key], WINDOWS[key]) for key in keys]) for wanted, keys in asked]
        expected = [account.take(scripts.now, wanted, some) for wanted, some in told]
        assert scripts.take(*told) == [number for group in expected for number in group]
        for (_, keys), (admitted, *_) in zip(asked, expected, strict=True):
            for key in keys:
                moments[key] += [scripts.now] * admitted

    for key, admitted in moments.items():
        for index, moment in enumerate(admitted):
            within = [one for one in admitted[index:] if one < moment + WINDOWS[key]]
            assert len(within) <= fixed[key]


@settings(max_examples=40)
@given(st.lists(st.tuples(gaps, st.integers(1, 4), checks), max_size=25))
def test_the_account_is_kept_while_quotas_change(server, steps):
    scripts, account = Scripts(server), Account()

    for gap, wanted, asked in steps:
        scripts.now += gap
        assert scripts.take((wanted, asked)) == account.take(scripts.now, wanted, asked)


steps_of_the_clock = st.integers(-20, 15).map(lambda seconds: 2 * seconds * SECOND)


@settings(max_examples=60)
@given(st.lists(st.tuples(steps_of_the_clock, groups), max_size=25))
def test_a_window_with_admissions_of_the_time_to_come_begins_anew(server, steps):
    scripts, account = Scripts(server), Account()

    for gap, asked in steps:
        scripts.now += gap
        told = [(wanted, [(key, fixed[key], WINDOWS[key]) for key in keys]) for wanted, keys in asked]
        expected = [account.take(scripts.now, wanted, some) for wanted, some in told]
        assert scripts.take(*told) == [number for group in expected for number in group]


@pytest.mark.parametrize("back", [20 * SECOND, 600 * SECOND], ids=["within the window", "by more than the window"])
def test_a_clock_that_is_set_back_refuses_nobody_for_longer(server, back):
    scripts = Scripts(server)
    check = ("k", 60, 60 * SECOND)
    for _ in range(60):
        scripts.now += SECOND
        scripts.take((1, [check]))

    scripts.now -= back
    first = scripts.take((1, [check]))
    admitted = []
    for _ in range(90):
        scripts.now += SECOND
        admitted.append(scripts.take((1, [check]))[0])

    assert first == [1, 59, 60 * SECOND]
    assert admitted == [1] * 90
    assert scripts.client.llen("k") == 60


def test_a_clock_that_is_set_back_by_a_moment_takes_nothing_back_and_never_tells_more_than_the_window(server):
    scripts = Scripts(server)
    check = ("k", 3, 10 * SECOND)
    scripts.take((1, [check]))
    scripts.now -= SECOND

    told = [scripts.take((1, [check])) for _ in range(3)]

    assert told == [[1, 1, 10 * SECOND], [1, 0, 10 * SECOND], [0, 0, 10 * SECOND]]


def test_what_was_admitted_elsewhere_counts_from_when_it_was_after_the_clock_was_set_back_too(server):
    scripts = Scripts(server)
    check = ("k", 10, 10 * SECOND)
    scripts.take((4, [check]))
    scripts.now -= 600 * SECOND

    scripts.charge("k", 10 * SECOND, (5 * SECOND, 2), (SECOND // 2, 3))

    assert scripts.take((1, [check])) == [1, 4, 5 * SECOND]
    scripts.now += 5 * SECOND
    assert scripts.take((1, [check]))[:2] == [1, 5]


def test_a_denied_call_leaves_every_window_as_it_was(server):
    scripts = Scripts(server)
    minute, hour = ("minute", 2, 60 * SECOND), ("hour", 100, 3600 * SECOND)
    scripts.take((2, [minute, hour]))

    admitted, *_ = scripts.take((50, [minute, hour]))

    assert admitted == 0
    assert scripts.client.llen("hour") == 2


def test_a_window_holds_what_was_used_and_never_more_than_the_quota(server):
    scripts = Scripts(server)
    for _ in range(30):
        scripts.now += SECOND
        scripts.take((40, [("k", 100, 10 * SECOND)]))

    assert scripts.client.llen("k") <= 100
    assert 0 < scripts.client.pttl("k") <= 10_000
    assert scripts.client.memory_usage("k") < 100 * 16 + 200


def test_thousands_that_expire_at_once_make_room_at_once(server):
    scripts = Scripts(server)
    big = ("k", 50_000, 10 * SECOND)
    scripts.take((3, [big]))
    scripts.charge("k", 10 * SECOND, (0, 49_997))
    assert scripts.take((1, [big]))[0] == 0
    scripts.now += 10 * SECOND

    assert scripts.take((1, [big]))[:2] == [1, 49_999]


def test_what_was_admitted_elsewhere_counts_from_when_it_was_and_in_order(server):
    scripts = Scripts(server)
    check = ("k", 10, 10 * SECOND)
    scripts.take((1, [check]))
    scripts.now += SECOND
    scripts.charge("k", 10 * SECOND, (5 * SECOND, 2), (SECOND // 2, 3))

    moments = [int(one) for one in scripts.client.lrange("k", 0, -1)]
    assert moments == sorted(moments)
    assert scripts.take((9, [check]))[0] == 4


@pytest.mark.anyio
async def test_an_answer_for_thousands_of_windows_reaches_everybody(server):
    limiter = Limiter(RedisWindows(server.url), patience=UNHURRIED)
    await limiter.open()
    limit = Limit("many", RateClass(quota=5, window=60))

    verdicts = await asyncio.gather(
        *(limiter.take((limit,), (limit.key(f"{number % 1500}"),)) for number in range(3000))
    )
    await limiter.close()

    assert sorted(one.remaining for [one] in verdicts) == [3] * 1500 + [4] * 1500
    assert sum(limiter.batch_sizes.values()) == 3


@pytest.mark.anyio
async def test_debts_of_many_windows_are_told_in_parts(server):
    windows = RedisWindows(server.url)
    await windows.open()
    charges = [Charge(f"window:debt:{number}", 60, [(3.0, 2), (1.0, 1)]) for number in range(450)]

    await windows.charge(charges)
    windows.abort()

    with server.client as client:
        assert {client.llen(one.key) for one in charges} == {3}
