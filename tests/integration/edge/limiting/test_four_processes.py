"""Four processes of two hundred tasks each share one Redis: no span of a window's length has more than the quota."""

import json
import os
import subprocess
import sys
from bisect import bisect_left, bisect_right
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROCESSES, TASKS, SECONDS = 4, 200, 4
QUOTA, WINDOW = 300, 1


def hammered(server):
    """All admissions and refusals, each as the moments between which it was decided, of one clock for all."""
    words = [server.url, TASKS, SECONDS, QUOTA, WINDOW]
    command = [sys.executable, "-m", "tests.builders.limit_hammer", *map(str, words)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(PROCESSES)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            print(file=process.stdin, flush=True)
        told = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert all(one["local"] == 0 for one in told), "all were judged by the Redis that they share"
    assert all(one["admitted"] or one["refused"] for one in told), "all four of them asked"
    return [[decided for one in told for decided in one[kind]] for kind in ("admitted", "refused")]


def test_in_no_span_of_a_windows_length_are_more_admitted_than_the_quota(server):
    admitted, refused = hammered(server)

    assert len(admitted) > 2 * QUOTA, "they asked for longer than two windows"
    assert len(refused) > QUOTA
    for first, _ in admitted:
        surely_within = sum(1 for asked, answered in admitted if asked >= first and answered < first + WINDOW)
        assert surely_within <= QUOTA

    asked, answered = (sorted(moments) for moments in zip(*admitted, strict=True))
    for refused_from, refused_until in refused:
        before = bisect_right(asked, refused_until)
        too_early = bisect_left(answered, refused_from - WINDOW)
        assert before - too_early >= QUOTA - 1, "who is refused found the window full"
