"""What a benchmark began does not outlive it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

A_BENCHMARK = """
import os, time
from benchmarks.processes import running

with running("http.server", "0", "--bind", "127.0.0.1", environment=os.environ) as began:
    print(began.pid, flush=True)
    time.sleep(600)
"""


def test_the_modules_beside_a_benchmark_end_with_it():
    begun = subprocess.Popen(
        [sys.executable, "-c", A_BENCHMARK],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with begun:
        beside = psutil.Process(int(begun.stdout.readline()))

        begun.terminate()
        begun.wait(60)

        is_left = beside.is_running()
        if is_left:
            beside.kill()
    assert not is_left
