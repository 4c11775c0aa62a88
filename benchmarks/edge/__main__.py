"""``make bench-edge``: what each part of the edge costs, rung by rung, beside bare Sanic giving the same bytes."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import wrk
from benchmarks.edge import measuring, pairs, report, setting
from benchmarks.edge.crowd import crowded
from benchmarks.edge.measuring import Step
from benchmarks.edge.rungs import SHED
from benchmarks.processes import end_on_sigterm
from benchmarks.promises import check


def main() -> None:
    """Measure every step in turn, round by round; what is compared is measured once more, side by side."""
    options = _options()
    end_on_sigterm()
    wrk.ensure_wrk()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        stack = held.enter_context(setting.shop(Path(folder) / "stack"))
        environment = setting.its_edge(stack, Path(folder))
        steps = held.enter_context(setting.steps(stack, environment, Path(folder)))
        shed = steps[SHED.name]
        runs = _ladder([step for step in steps.values() if step is not shed], options)
        rates = {run["step"]: run["half load"] for run in runs}
        seen = pairs.side_by_side(steps, environment, rates, rounds=options.pairs)
        with crowded(stack, shed.url):
            runs.append(measuring.closed(shed, options.seconds))
    report.show(runs)
    print(*pairs.told(seen), sep="\n")
    told = list(pairs.judged(seen, {run["step"]: run for run in runs}))
    print(*told, sep="\n")
    print(f"Written to {report.write(runs, seen, options)}")
    if options.check:
        check(told)


def _ladder(steps: Sequence[Step], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of each step the middle one of its rounds, and how it does at half of that."""
    closed = [measuring.closed(step, options.seconds) for _ in range(options.rounds) for step in steps]
    middle = [_middle(closed, step.name) for step in steps]
    for step, run in zip(steps, middle, strict=True):
        run["half load"] = measuring.half_load(step, run["requests_per_second"])
        run["at half load"] = measuring.opened(step, run["half load"], options.seconds)
    return middle


def _middle(runs: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    rounds = sorted((run for run in runs if run["step"] == name), key=lambda run: float(run["requests_per_second"]))
    return rounds[len(rounds) // 2]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="per step (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of the ladder; the middle one is shown (default: 3)")
    parser.add_argument(
        "--pairs", type=int, default=7, help="rounds of what is compared, side by side; medians count (default: 7)"
    )
    parser.add_argument("--check", action="store_true", help="exit status 1 unless all was reached")
    return parser.parse_args()


if __name__ == "__main__":
    main()
