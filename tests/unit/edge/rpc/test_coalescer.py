import asyncio
import gc
import random
import time
import tracemalloc
import weakref

import pytest

from edge.rpc.coalescer import Coalescer
from shared.resilience.coalescing import Closed, CoalescingPolicy, Expired, Overloaded, Unanswered


def a_policy(*, batches: int = 1, batch_size: int = 100, room: int = 1_000) -> CoalescingPolicy:
    return CoalescingPolicy(batches=batches, batch_size=batch_size, room=room)


class Echo:
    """Answers every item with itself, batch by batch, when its gate is open."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, sending) -> None:
        self.batches.append(sending.items)
        await self.gate.wait()
        for errand in sending.errands:
            sending.answer(errand, errand.item)


async def gathered(coalescer, *items, **asked):
    """Tasks for ``items``, each come in a turn of its own, and waiting."""
    tasks = []
    for item in items:
        tasks.append(asyncio.create_task(coalescer.submit(item, **asked)))
        await asyncio.sleep(0.005)
    return tasks


def test_callers_who_come_in_one_turn_of_the_loop_leave_together():
    async def scenario():
        echo = Echo()
        coalescer = Coalescer(echo.send, policy=a_policy())
        return await asyncio.gather(*(coalescer.submit(n) for n in range(5))), echo

    answers, echo = asyncio.run(scenario())

    assert answers == [0, 1, 2, 3, 4]
    assert echo.batches == [[0, 1, 2, 3, 4]]


def test_a_lone_caller_leaves_before_the_loop_turns_twice():
    async def scenario():
        echo = Echo()
        coalescer = Coalescer(echo.send, policy=a_policy())
        task = asyncio.create_task(coalescer.submit("a"))
        for _ in range(3):  # submit, depart, send
            await asyncio.sleep(0)
        batches = list(echo.batches)
        await task
        return batches

    assert asyncio.run(scenario()) == [["a"]]


async def fifty_thousand(*, cancelled: float, policy: CoalescingPolicy):
    """Submit them all at once, with deadlines; gives the outcomes, the coalescer and the seconds it took."""
    dice = random.Random(7)

    async def send(sending):
        await asyncio.sleep(0)
        for errand in reversed(sending.errands):  # as they finish, not as they came
            sending.answer(errand, f"answer {errand.item}")

    coalescer = Coalescer(send, policy=policy)
    started = time.perf_counter()
    deadline = time.monotonic() + 60
    tasks = [asyncio.create_task(coalescer.submit(n, deadline=deadline)) for n in range(50_000)]
    await asyncio.sleep(0)
    for task in tasks:
        if dice.random() < cancelled:
            task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    return outcomes, coalescer, time.perf_counter() - started


def test_fifty_thousand_at_once_are_all_answered_each_with_its_own():
    policy = a_policy(batches=4, batch_size=256, room=50_000)

    outcomes, coalescer, seconds = asyncio.run(fifty_thousand(cancelled=0, policy=policy))

    assert outcomes == [f"answer {n}" for n in range(50_000)]
    assert max(coalescer.machine.batch_sizes) == 256
    assert (coalescer.machine.waiting, coalescer.machine.in_flight, coalescer.machine.slots_taken) == (0, 0, 0)
    print(f"{50_000 / seconds:,.0f} submits/s, all at once")


def test_fifty_thousand_of_whom_a_third_hang_up_leave_the_others_answered():
    policy = a_policy(batches=4, batch_size=256, room=50_000)

    outcomes, coalescer, _ = asyncio.run(fifty_thousand(cancelled=0.33, policy=policy))

    wrong = [
        n for n, got in enumerate(outcomes) if not isinstance(got, asyncio.CancelledError) and got != f"answer {n}"
    ]
    assert wrong == []
    assert coalescer.machine.counts["answered"] + coalescer.machine.counts["cancelled"] == 50_000
    assert (coalescer.machine.waiting, coalescer.machine.in_flight, coalescer.machine.slots_taken) == (0, 0, 0)


def test_over_its_room_it_refuses_at_once_and_serves_the_rest():
    outcomes, coalescer, _ = asyncio.run(fifty_thousand(cancelled=0, policy=a_policy(room=20_000)))

    assert sum(isinstance(got, Overloaded) for got in outcomes) == 30_000
    assert coalescer.machine.counts["answered"] == 20_000


def test_a_long_run_keeps_nothing_of_what_is_over():
    async def scenario():
        coalescer = Coalescer(Echo().send, policy=a_policy(batches=2, room=64))

        async def client(calls):
            for n in range(calls):
                await coalescer.submit(n, deadline=time.monotonic() + 3600)

        await asyncio.gather(*(client(20) for _ in range(64)))
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await asyncio.gather(*(client(300) for _ in range(64)))
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(coalescer._sends) == 0
        assert len(coalescer.machine._deadlines) <= 64
        return after - before

    assert asyncio.run(scenario()) < 1_000_000


class Moody:
    """Answers, fails, forgets, dawdles and breaks down at random."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice

    async def send(self, sending) -> None:
        for errand in sending.errands:
            if self.dice.random() < 0.3:
                await asyncio.sleep(self.dice.choice([0, 0, 0.0005]))
            match self.dice.choices(["answer", "fail", "raise", "forget"], [85, 5, 5, 5])[0]:
                case "answer":
                    sending.answer(errand, errand.item)
                case "fail":
                    sending.fail(errand, LookupError(errand.item))
                case "raise":
                    raise ConnectionError


async def at_random(coalescer, n, dice):
    """One call at a random moment, perhaps shared, with a deadline that may be too short."""
    key = dice.choice([None, n % 7])
    item = n if key is None else f"key {key}"
    await asyncio.sleep(dice.random() * 0.05)
    deadline = time.monotonic() + dice.choice([0.001, 0.02, 5.0])
    return await coalescer.submit(item, key=key, deadline=deadline) == item


async def until_answered(coalescer):
    """A moody sender answers sooner or later, if the coalescer still serves."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await coalescer.submit("still here")
            except (LookupError, ConnectionError, Unanswered):
                continue


@pytest.mark.parametrize("seed", range(20))
def test_cancelling_at_random_moments_wedges_nothing(seed):
    dice = random.Random(seed)

    async def scenario():
        coalescer = Coalescer(Moody(dice).send, policy=a_policy(batches=3, batch_size=8, room=400))
        tasks = [asyncio.create_task(at_random(coalescer, n, dice)) for n in range(600)]
        for task in dice.sample(tasks, 250):
            await asyncio.sleep(dice.choice([0, 0, 0.0003]))
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert await until_answered(coalescer) == "still here"
        await coalescer.close(drain=1)
        return outcomes, coalescer.machine

    outcomes, machine = asyncio.run(scenario())

    allowed = (LookupError, ConnectionError, Unanswered, Expired, Overloaded, asyncio.CancelledError)
    assert [got for got in outcomes if got is not True and not isinstance(got, allowed)] == []
    assert (machine.waiting, machine.in_flight, machine.slots_taken) == (0, 0, 0)


def test_a_client_that_hangs_up_in_the_very_tick_of_its_answer_wedges_nothing():
    async def scenario():
        coalescer = Coalescer(Echo().send, policy=a_policy())
        first, second = both = [asyncio.create_task(coalescer.submit(n)) for n in range(2)]
        while not coalescer.machine.counts["answered"]:
            await asyncio.sleep(0)
            first.cancel()
        second.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        return await coalescer.submit("next")

    assert asyncio.run(scenario()) == "next"


def test_one_of_two_who_share_a_read_hangs_up_and_the_other_is_answered():
    async def scenario():
        echo = Echo()
        echo.gate.clear()
        coalescer = Coalescer(echo.send, policy=a_policy())
        await gathered(coalescer, "first")
        leader, follower = await gathered(coalescer, "read", "read", key="read")

        leader.cancel()
        echo.gate.set()

        return await follower, echo.batches

    assert asyncio.run(scenario()) == ("read", [["first"], ["read"]])


def test_a_send_that_raises_fails_its_own_batch_and_the_next_one_leaves():
    async def send(sending):
        if "bad" in sending.items:
            raise ConnectionError
        await asyncio.sleep(0.001)
        for errand in sending.errands:
            sending.answer(errand, errand.item)

    async def scenario():
        coalescer = Coalescer(send, policy=a_policy(batch_size=2))
        return await asyncio.gather(
            *(coalescer.submit(item) for item in ["a", "b", "bad", "c", "d"]), return_exceptions=True
        )

    a, b, bad, c, d = asyncio.run(scenario())

    assert (a, b, d) == ("a", "b", "d")
    assert isinstance(bad, ConnectionError)
    assert isinstance(c, ConnectionError)


def test_one_slow_answer_holds_neither_its_batch_mates_nor_after_release_the_next_batch():
    async def scenario():
        slow = asyncio.Event()

        async def send(sending):
            await asyncio.sleep(0)
            for errand in sending.errands:
                if errand.item != "slow":
                    sending.answer(errand, errand.item)
            sending.release()
            if "slow" in sending.items:
                await slow.wait()
                sending.answer(sending.errands[sending.items.index("slow")], "slow")

        coalescer = Coalescer(send, policy=a_policy())
        tasks = await gathered(coalescer, "first", "slow", "mate")
        async with asyncio.timeout(1):
            assert await tasks[2] == "mate"
            assert await coalescer.submit("next") == "next"
        slow.set()
        return await tasks[1]

    assert asyncio.run(scenario()) == "slow"


def test_a_send_that_never_returns_keeps_one_slot_and_the_others_go_on():
    async def send(sending):
        if sending.items == ["stuck"]:
            await asyncio.Event().wait()
        for errand in sending.errands:
            sending.answer(errand, errand.item)

    async def scenario():
        coalescer = Coalescer(send, policy=a_policy(batches=2))
        (stuck,) = await gathered(coalescer, "stuck", deadline=time.monotonic() + 0.5)
        answers = await asyncio.gather(*(coalescer.submit(n) for n in range(999)))
        with pytest.raises(Unanswered):
            await stuck
        assert coalescer.machine.slots_taken == 1
        await coalescer.close(drain=0)
        return answers

    assert asyncio.run(scenario()) == list(range(999))


def test_a_send_that_takes_too_long_is_stopped_and_gives_its_slot_back():
    async def send(sending):
        if sending.items == ["stuck"]:
            await asyncio.Event().wait()
        for errand in sending.errands:
            sending.answer(errand, errand.item)

    async def scenario():
        coalescer = Coalescer(send, policy=a_policy(), longest_send=0.05)
        stuck, behind = await gathered(coalescer, "stuck", "behind")
        with pytest.raises(Unanswered):
            await stuck
        return await behind

    assert asyncio.run(scenario()) == "behind"


def test_a_send_cancelled_before_it_began_gives_its_slot_back():
    async def scenario():
        coalescer = Coalescer(Echo().send, policy=a_policy())
        waiting = asyncio.ensure_future(coalescer.submit("a"))
        while not coalescer._sends:
            await asyncio.sleep(0)
            for task in coalescer._sends:
                task.cancel()
        with pytest.raises(Unanswered):
            await waiting
        return await coalescer.submit("b")

    assert asyncio.run(scenario()) == "b"


def test_deadlines_are_kept_while_every_slot_is_stuck():
    async def scenario():
        echo = Echo()
        echo.gate.clear()
        coalescer = Coalescer(echo.send, policy=a_policy())
        start = time.monotonic()
        tasks = [
            task
            for n, after in enumerate([9, 0.2, 0.1])
            for task in await gathered(coalescer, n, deadline=start + after)
        ]
        done = []
        for task in tasks[1:]:
            task.add_done_callback(lambda _: done.append(time.monotonic() - start))
        outcomes = await asyncio.gather(*tasks[1:], return_exceptions=True)
        echo.gate.set()
        return outcomes, done, await tasks[0], echo.batches

    outcomes, (earlier, later), answer, batches = asyncio.run(scenario())

    assert all(isinstance(outcome, Expired) for outcome in outcomes)
    assert 0.1 <= earlier < later < 9
    assert (answer, batches) == (0, [[0]])


@pytest.fixture
def _no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Fault(Exception):
    """Unlike those of Python's own, it can be watched."""


async def failing_an_errand(sending):
    sending.fail(sending.errands[0], Fault())


async def failing_the_batch(sending):
    raise Fault


async def dawdling(sending):
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("send", "seconds", "fault"),
    [
        (failing_an_errand, None, Fault),
        (failing_the_batch, None, Fault),
        (dawdling, 0.05, (Unanswered, Expired)),  # after a stall it never left
        (dawdling, -1, Expired),
    ],
)
@pytest.mark.usefixtures("_no_collector")
def test_a_call_that_failed_leaves_nothing_for_the_collector(send, seconds, fault):
    """In an outage every call fails: the collector would come most when it is needed least."""

    async def scenario():
        coalescer = Coalescer(send)
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            await coalescer.submit("x", deadline=deadline)
        except fault as told:
            failure = weakref.ref(told)
        await asyncio.sleep(0)  # the loop still has in hand what woke the caller
        kept = failure()
        await coalescer.close(drain=0)
        return kept

    assert asyncio.run(scenario()) is None


def test_a_fault_no_future_can_hold_reaches_its_caller_all_the_same():
    async def send(sending):
        sending.fail(sending.errands[0], StopIteration())

    with pytest.raises(RuntimeError):
        asyncio.run(Coalescer(send).submit("a"))


def test_closing_lets_those_who_are_in_finish():
    async def scenario():
        echo = Echo()
        echo.gate.clear()
        coalescer = Coalescer(echo.send, policy=a_policy(batch_size=1))
        tasks = await gathered(coalescer, 1, 2, 3)
        asyncio.get_running_loop().call_later(0.02, echo.gate.set)
        await coalescer.close(drain=5)
        with pytest.raises(Closed):
            await coalescer.submit(4)
        return await asyncio.gather(*tasks)

    assert asyncio.run(scenario()) == [1, 2, 3]


def test_closing_tells_the_rest_when_the_time_is_up():
    async def scenario():
        echo = Echo()
        echo.gate.clear()
        coalescer = Coalescer(echo.send, policy=a_policy())
        tasks = await gathered(coalescer, "away", "waiting", deadline=time.monotonic() + 60)
        await coalescer.close(drain=0.01)
        return await asyncio.gather(*tasks, return_exceptions=True), len(coalescer._sends)

    (away, waiting), sends = asyncio.run(scenario())

    assert isinstance(away, Unanswered)
    assert isinstance(waiting, Closed)
    assert sends == 0
