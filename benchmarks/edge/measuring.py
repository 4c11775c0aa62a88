"""One step measured: as fast as a crowd can ask, at a pace, or without the gateway at the same pace."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from benchmarks import wrk

CLIENTS = 64
PRODUCTS = 40
WARM_UP_SECONDS = 2.0
LOOK_SECONDS = 2.0
HALVINGS = 5
HALF = 0.5
LEAST_RATE = 20
"""Requests per second: whatever keeps the machine busy besides counts as load, too."""


@dataclass(frozen=True)
class Step:
    """Something to be measured."""

    name: str
    url: str
    process: psutil.Process
    headers: Mapping[str, str]
    counted: int | None = None


def closed(step: Step, seconds: float, *, warm_up: float = WARM_UP_SECONDS) -> dict[str, Any]:
    """As fast as so many clients can ask, after so many seconds of the same (0 for none)."""
    options = {"clients": CLIENTS, "counted": step.counted, "headers": step.headers}
    if warm_up:
        wrk.run(step.url, seconds=warm_up, **options)
    before, busy_before, load_before = sum(step.process.cpu_times()[:2]), _busy(), _generator()
    measured = wrk.run(step.url, seconds=seconds, **options)
    used = sum(step.process.cpu_times()[:2]) - before
    busy = _busy() - busy_before - (_generator() - load_before)
    each = 1e6 / max(1, measured.requests)
    run = {"step": step.name, **asdict(measured), "cpu_us": round(each * used, 1), "all_us": round(each * busy, 1)}
    print(f"{step.name:28} {run['requests_per_second']:>9,.0f}/s {run['cpu_us']:>7} us", file=sys.stderr)
    return run


def _busy() -> float:
    """Seconds that all processors of this machine have worked."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _generator() -> float:
    """Of these, what the load generators that have ended have used."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def half_load(step: Step, most: float) -> float:
    """Half of the ``most`` that a crowd of connections gets; less, if that keeps all processors busy for more.

    It can, for what comes in a crowd is cheaper: it shares frames, statements and round trips. The load generator's own
    part is left out.
    """
    least, most = 0.0, most / 2
    rate = most
    for _ in range(HALVINGS):
        before = _busy() - _generator()
        opened(step, rate, LOOK_SECONDS)
        share = (_busy() - _generator() - before) / LOOK_SECONDS / psutil.cpu_count()
        least, most = (least, rate) if share > HALF else (rate, most)
        if least == most:
            break
        rate = (least + most) / 2
    return max(LEAST_RATE, round(least))


def opened(step: Step, rate: float, seconds: float) -> dict[str, Any]:
    """Requests that come when they come."""
    counted = ["--counted", str(step.counted)] if step.counted else []
    headers = [part for name, value in step.headers.items() for part in ("--header", f"{name}:{value}")]
    return _told("open_loop", step.url, str(rate), str(seconds), *counted, *headers)


def direct(environment: Mapping[str, str], rate: float, seconds: float) -> dict[str, Any]:
    """The same calls at the same pace, without a gateway."""
    return _told("direct", str(rate), str(seconds), str(PRODUCTS), environment=environment)


def _told(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.edge.{module}", *arguments]
    done = subprocess.run(command, env=environment and dict(environment), capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
