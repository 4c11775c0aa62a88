"""Load by wrk, which takes a few microseconds a request: a generator in Python took a fifth of a core from the rest."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kirana.stack import packages

SCRIPT = Path(__file__).with_name("wrk.lua")
SPARE_SECONDS = 30


@dataclass(frozen=True)
class Measured:
    """What one run saw. ``failed`` counts every answer that was not 2xx or 3xx, and every broken connection."""

    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def ensure_wrk() -> None:
    """Install it if it is missing. Raises ``ServersMissing``, which says what to do."""
    if shutil.which("wrk") is None:
        packages.install(["wrk"])


def run(
    url: str, *, clients: int, seconds: float, counted: int | None = None, headers: Mapping[str, str] | None = None
) -> Measured:
    """One thread of wrk with so many kept-alive connections, one request at a time on each; whole seconds.

    With ``counted`` the numbers from 1 to it are put behind the URL in turn.
    """
    command = ["wrk", "--threads=1", f"--connections={clients}", f"--duration={max(1, round(seconds))}s"]
    command += [part for name, value in (headers or {}).items() for part in ("--header", f"{name}: {value}")]
    done = subprocess.run(
        [*command, f"--script={SCRIPT}", url, *(["--", str(counted)] if counted else [])],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + SPARE_SECONDS,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return Measured(
        requests=told["requests"],
        requests_per_second=round(told["requests"] / (told["microseconds"] / 1e6), 1),
        p50_ms=told["p50_us"] / 1000,
        p99_ms=told["p99_us"] / 1000,
        failed=told["failed"],
    )
