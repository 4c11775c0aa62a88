"""One slow call among a thousand quick ones in one frame: the quick ones do not notice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from statistics import median
from typing import Any

import pytest

pytestmark = pytest.mark.takes(20)

ROUNDS = 5
QUICK_CALLS = 1000
QUICK_SECONDS = 0.001
SLOW_SECONDS = 2.0
UNMOVED = 1.5
_numbers: Iterator[int] = count()


def a_call(seconds: float) -> dict[str, Any]:
    call_id = f"company-{next(_numbers)}"
    return {"id": call_id, "method": "sleep", "kwargs": {"seconds": seconds}, "context": {"request_id": call_id}}


def last_of_the_quick(caller, *company: dict[str, Any]) -> tuple[float, bool]:
    """Seconds until every quick call is answered, and whether that was before any of their company was."""
    quick = [a_call(QUICK_SECONDS) for _ in range(QUICK_CALLS)]
    ids, slow = {call["id"] for call in quick}, {call["id"] for call in company}
    started = time.monotonic()
    caller.send_frame("demo", [*company, *quick])
    caller.listen_until(lambda: ids <= caller.replies.keys())
    took, was_before = time.monotonic() - started, not slow & caller.replies.keys()
    caller.listen_until(lambda: slow <= caller.replies.keys())
    assert all(caller.replies.pop(each).body["error"] is None for each in ids | slow)
    return took, was_before


def test_a_slow_call_in_the_frame_moves_the_last_of_a_thousand_quick_ones_hardly_at_all(caller):
    """In turn with and without it, so that whatever else the machine does meets both alike."""
    alone, beside, before = [], [], []

    for _ in range(ROUNDS):
        alone.append(last_of_the_quick(caller)[0])
        slow_seconds = max(SLOW_SECONDS, 4 * max(alone))  # a machine that is starved is slow with the quick ones, too
        took, was_before = last_of_the_quick(caller, a_call(slow_seconds))
        beside.append(took)
        before.append(was_before)

    ratios = sorted(one / other for one, other in zip(beside, alone, strict=True))
    print(
        f"last of {QUICK_CALLS}: {median(alone) * 1000:.0f} ms alone, {median(beside) * 1000:.0f} ms beside; {ratios}"
    )
    assert sum(before) >= ROUNDS - 1
    assert median(beside) <= 2 * median(alone) + 0.2
    assert ratios[0] <= UNMOVED, (
        "what the slow call costs, it costs in every round; what else the machine does, in some"
    )
