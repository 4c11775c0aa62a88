"""One timer for all: who is late is cancelled, and nobody else."""

from __future__ import annotations

import asyncio
from functools import wraps

import pytest

from edge.timekeeping import Timekeeper


def on_a_loop(scenario):
    @wraps(scenario)
    def run():
        asyncio.run(scenario())

    return run


async def _within(keeper, seconds, work):
    """Gives ``"late"`` where the limit struck, as a stage does."""
    limit = keeper.begin(seconds)
    try:
        done = await work
    except asyncio.CancelledError:
        if keeper.end(limit):
            return "late"
        raise
    keeper.end(limit)
    return done


@on_a_loop
async def test_what_is_done_in_time_is_left_alone():
    assert await _within(Timekeeper(), 5, asyncio.sleep(0, "done")) == "done"


@on_a_loop
async def test_only_the_late_is_cancelled():
    keeper = Timekeeper()

    told = await asyncio.gather(
        _within(keeper, 0.01, asyncio.sleep(30)), _within(keeper, 30, asyncio.sleep(0.2, "in time"))
    )

    assert told == ["late", "in time"]


@on_a_loop
async def test_a_cancellation_by_somebody_else_stays_one():
    keeper = Timekeeper()
    task = asyncio.create_task(_within(keeper, 30, asyncio.sleep(30)))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@on_a_loop
async def test_one_that_was_late_and_cancelled_as_well_is_cancelled():
    keeper = Timekeeper()
    stuck = asyncio.Event()

    async def work():
        try:
            await asyncio.sleep(30)
        finally:
            stuck.set()
            await asyncio.sleep(30)

    task = asyncio.create_task(_within(keeper, 0.01, work()))
    await stuck.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@on_a_loop
async def test_after_the_last_limit_no_timer_runs():
    keeper = Timekeeper()
    await _within(keeper, 0.01, asyncio.sleep(30))
    await asyncio.sleep(0.15)

    assert keeper._timer is None


@on_a_loop
async def test_a_task_may_have_limits_one_after_the_other():
    keeper = Timekeeper()

    told = [await _within(keeper, 0.01, asyncio.sleep(30)) for _ in range(2)]

    assert told == ["late", "late"]
    assert asyncio.current_task().cancelling() == 0
