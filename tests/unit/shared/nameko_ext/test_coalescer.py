import gc
import random
import time
import weakref

import eventlet
import pytest
from eventlet.event import Event

from shared.nameko_ext.coalescer import Coalescer
from shared.resilience.coalescing import Closed, CoalescingPolicy, Expired, Overloaded, Unanswered


def a_policy(*, batches: int = 1, batch_size: int = 100, room: int = 20_000) -> CoalescingPolicy:
    return CoalescingPolicy(batches=batches, batch_size=batch_size, room=room)


class Gone(Exception):
    """Thrown into a greenlet from outside."""


class Echo:
    """Answers every item with itself, batch by batch, after a pause."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[object]] = []
        self.seconds = seconds

    def send(self, sending) -> None:
        self.batches.append(sending.items)
        eventlet.sleep(3600 if "stuck" in sending.items else self.seconds)
        if "bad" in sending.items:
            raise ConnectionError
        for errand in sending.errands:
            sending.answer(errand, errand.item)


def outcome_of(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        return type(error)


def gathered(coalescer, *items, **asked):
    """Greenlets for ``items``, come in one turn of the hub, and waiting."""
    threads = [eventlet.spawn(outcome_of, coalescer.submit, item, **asked) for item in items]
    for _ in range(3):  # submit, depart, send
        eventlet.sleep(0)
    return threads


def outcomes(threads):
    return [outcome_of(thread.wait) for thread in threads]


def test_callers_who_come_in_one_turn_of_the_hub_leave_together():
    echo = Echo()
    threads = gathered(Coalescer(echo.send, policy=a_policy()), *range(5))

    assert outcomes(threads) == [0, 1, 2, 3, 4]
    assert echo.batches == [[0, 1, 2, 3, 4]]


def test_twenty_thousand_at_once_are_all_answered_each_with_its_own():
    coalescer = Coalescer(Echo().send, policy=a_policy(batches=4, batch_size=256))
    started = time.perf_counter()

    threads = gathered(coalescer, *range(20_000), deadline=time.monotonic() + 60)

    assert outcomes(threads) == list(range(20_000))
    assert coalescer.machine.slots_taken == 0
    print(f"{20_000 / (time.perf_counter() - started):,.0f} submits/s, all at once")


def test_over_its_room_it_refuses_at_once():
    threads = gathered(Coalescer(Echo().send, policy=a_policy(room=3)), *range(5))

    assert outcomes(threads) == [0, 1, 2, Overloaded, Overloaded]


def test_identical_reads_share_one_errand():
    echo = Echo()
    coalescer = Coalescer(echo.send, policy=a_policy())

    threads = gathered(coalescer, "first") + gathered(coalescer, *["read"] * 5, key="read")

    assert outcomes(threads) == ["first", *["read"] * 5]
    assert echo.batches == [["first"], ["read"]]


@pytest.mark.parametrize("seed", range(10))
def test_killing_callers_at_random_moments_wedges_nothing(seed):
    dice = random.Random(seed)
    coalescer = Coalescer(Echo(0.001).send, policy=a_policy(batches=2, batch_size=8))

    def one(n):
        eventlet.sleep(dice.random() * 0.03)
        key = dice.choice([None, n % 5])
        item = n if key is None else f"key {key}"
        assert coalescer.submit(item, key=key, deadline=time.monotonic() + dice.choice([0.002, 5.0])) == item

    threads = [eventlet.spawn(outcome_of, one, n) for n in range(200)]
    for thread in dice.sample(threads, 80):
        eventlet.sleep(dice.choice([0, 0, 0.0005]))
        thread.kill(*dice.choice([(), (Gone(),)]))
    seen = set(outcomes(threads))

    assert seen <= {None, eventlet.greenlet.GreenletExit, Gone, Expired, Unanswered}
    assert coalescer.submit("still here") == "still here"
    assert (coalescer.machine.waiting, coalescer.machine.in_flight) == (0, 0)


def test_a_caller_timed_out_from_outside_leaves_its_batch_mates_alone():
    coalescer = Coalescer(Echo(0.05).send, policy=a_policy())
    gathered(coalescer, "first")

    def impatient():
        with eventlet.Timeout(0.01):
            coalescer.submit("impatient")

    hasty = eventlet.spawn(outcome_of, impatient)
    (patient,) = gathered(coalescer, "patient")

    assert outcomes([hasty, patient]) == [eventlet.Timeout, "patient"]


def test_a_send_that_raises_fails_its_own_batch_and_the_next_one_leaves():
    threads = gathered(Coalescer(Echo().send, policy=a_policy(batch_size=2)), "a", "b", "bad", "c", "d")

    assert outcomes(threads) == ["a", "b", ConnectionError, ConnectionError, "d"]


def test_a_send_that_never_returns_keeps_one_slot_and_the_others_go_on():
    coalescer = Coalescer(Echo().send, policy=a_policy(batches=2))
    stuck = gathered(coalescer, "stuck", deadline=time.monotonic() + 0.5)

    assert outcomes(gathered(coalescer, *range(1_000))) == list(range(1_000))
    assert outcomes(stuck) == [Unanswered]
    assert coalescer.machine.slots_taken == 1
    coalescer.close(drain=0)


def test_a_send_that_takes_too_long_is_stopped_and_gives_its_slot_back():
    coalescer = Coalescer(Echo().send, policy=a_policy(), longest_send=0.05)

    assert outcomes(gathered(coalescer, "stuck") + gathered(coalescer, "behind")) == [Unanswered, "behind"]


def test_deadlines_are_kept_while_every_slot_is_stuck():
    coalescer = Coalescer(Echo().send, policy=a_policy())
    gathered(coalescer, "stuck")
    start = time.monotonic()

    later, earlier = gathered(coalescer, 1, deadline=start + 3) + gathered(coalescer, 2, deadline=start + 0.1)

    assert outcomes([earlier]) == [Expired]
    assert 0.1 <= time.monotonic() - start < 3
    assert outcomes([later]) == [Expired]
    coalescer.close(drain=0)


def test_a_slow_answer_does_not_hold_its_batch_mates():
    others_are_answered = Event()

    def send(sending):
        for errand in sending.errands:
            if errand.item != "slow":
                sending.answer(errand, errand.item)
        sending.release()
        others_are_answered.wait()
        for errand in sending.errands:
            sending.answer(errand, "at last")

    coalescer = Coalescer(send, policy=a_policy())
    first, slow, mate = gathered(coalescer, "first", "slow", "mate")

    assert outcomes([first, mate, *gathered(coalescer, "next")]) == ["first", "mate", "next"]
    others_are_answered.send()
    assert outcomes([slow]) == ["at last"]


def test_closing_lets_those_who_are_in_finish():
    coalescer = Coalescer(Echo(0.01).send, policy=a_policy(batch_size=1))
    threads = gathered(coalescer, 1, 2, 3)

    coalescer.close(drain=5)

    assert outcomes(threads) == [1, 2, 3]
    with pytest.raises(Closed):
        coalescer.submit(4)


def test_closing_tells_the_rest_when_the_time_is_up():
    coalescer = Coalescer(Echo().send, policy=a_policy())
    deadline = time.monotonic() + 60
    threads = gathered(coalescer, "stuck", deadline=deadline) + gathered(coalescer, "waiting", deadline=deadline)

    coalescer.close(drain=0.01)

    assert outcomes(threads) == [Unanswered, Closed]
    assert coalescer._sends == {}


class Fault(Exception):
    """Unlike those of Python's own, it can be watched."""


def test_a_call_that_failed_leaves_nothing_for_the_collector():
    """In an outage every call fails: the collector would come most when it is needed least."""

    def failing(sending):
        sending.fail(sending.errands[0], Fault())

    coalescer = Coalescer(failing, policy=a_policy())
    gc.collect()
    gc.disable()
    try:
        try:
            coalescer.submit("x")
        except Fault as told:
            failure = weakref.ref(told)
        eventlet.sleep(0)
        assert failure() is None
    finally:
        gc.enable()
