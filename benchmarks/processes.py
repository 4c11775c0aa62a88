"""Modules run beside the benchmark, and the wait until they serve."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import psutil

STARTS_WITHIN = 20.0


def end_on_sigterm() -> None:
    """As on Ctrl-C: what was begun is ended, too. Python's own way is to end at once and leave it all behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def running(module: str, *arguments: str, environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    """``python -m module`` until the block ends, by SIGTERM or not; what it prints is not shown, its complaints are."""
    end_on_sigterm()
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    process = subprocess.Popen(command, env=dict(environment), stdout=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=STARTS_WITHIN)


def wait_for(url: str) -> None:
    """Until it answers well. Raises what went wrong last when that takes more than 20 seconds."""
    give_up_at = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            httpx.get(url, timeout=2).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)
        else:
            return
