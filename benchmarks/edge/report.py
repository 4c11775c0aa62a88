"""The figures as a table for people, and as a file for whoever compares runs."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.edge.measuring import CLIENTS
from benchmarks.edge.pairs import SideBySide

RESULTS = Path(__file__).parents[1] / "results"
FIGURES = ("p50_ms", "p99_ms", "failed")


def show(runs: Sequence[dict[str, Any]]) -> None:
    """One line for each step."""
    columns = (
        "step",
        "requests/s",
        "edge's CPU µs",
        "all CPU µs",
        "p50 ms",
        "p99 ms",
        "failed",
        "half load: requests/s",
        "p50 ms",
        "p99 ms",
        "failed",
    )
    table = Table(*columns, title=f"{CLIENTS} connections, all with a token; half load is open-loop")
    for run in runs:
        half = run.get("at half load", dict.fromkeys(FIGURES, ""))
        figures = (run["cpu_us"], run["all_us"], run["p50_ms"], run["p99_ms"], run["failed"])
        table.add_row(
            run["step"],
            f"{run['requests_per_second']:,.0f}",
            *(str(figure) for figure in (*figures, run.get("half load", ""), *(half[name] for name in FIGURES))),
        )
    Console(width=140).print(table)


def write(runs: Sequence[dict[str, Any]], seen: SideBySide, options: argparse.Namespace) -> Path:
    """Everything that was seen. Gives where."""
    RESULTS.mkdir(exist_ok=True)
    at = datetime.now(UTC)
    document = {
        "benchmark": "edge",
        "at": at.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "options": vars(options),
        "side by side": asdict(seen),
        "runs": list(runs),
    }
    path = RESULTS / f"edge-{at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path
