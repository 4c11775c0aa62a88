"""What a benchmark began does not outlive it."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

A_BENCHMARK = """
import os, time
from benchmarks.processes import running

with running("http.server", "0", "--bind", "127.0.0.1", environment=os.environ) as began:
    print(began.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT], ids=lambda told: told.name)
def test_the_modules_beside_a_benchmark_end_with_it(told):
    begun = subprocess.Popen(
        [sys.executable, "-c", A_BENCHMARK],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with begun:
        beside = psutil.Process(int(begun.stdout.readline()))

        begun.send_signal(told)
        begun.wait(60)

        is_left = beside.is_running()
        if is_left:
            beside.kill()
    assert not is_left
