"""``make bench-edge``: what each part of the edge costs, rung by rung, beside bare Sanic giving the same bytes."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import wrk
from benchmarks.edge.crowd import crowded
from benchmarks.edge.rungs import ASKED, CACHED, LADDER, REFUSED, SHED, TRACEPARENT, Rung, write_table
from benchmarks.processes import end_on_sigterm, running, wait_for
from kirana.stack import state
from kirana.stack.passwords import passwords
from kirana.stack.programs import amqp_url, edge_environment
from kirana.stack.state import StackState
from tests.builders.servers import free_port

RESULTS = Path(__file__).parents[1] / "results"
CLIENTS = 64
PRODUCTS = 40
WARM_UP_SECONDS = 2.0
LOOK_SECONDS = 2.0
HALVINGS = 5
HALF = 0.5
FIGURES = ("p50_ms", "p99_ms", "failed")
BARE, BARE_SAME = "bare Sanic, body alone", "bare Sanic, same bytes"


@dataclass(frozen=True)
class Step:
    """Something to be measured."""

    name: str
    url: str
    process: psutil.Process
    headers: Mapping[str, str]
    counted: int | None = None


def main() -> None:
    """Measure every step in turn, round by round, so that whatever else the machine does meets them all."""
    options = _options()
    end_on_sigterm()
    wrk.ensure_wrk()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        stack = held.enter_context(_stack(Path(folder) / "stack"))
        environment = _edge_environment(stack, Path(folder))
        steps = held.enter_context(_steps(stack, environment, Path(folder)))
        *steps, last = steps
        closed = [_closed(step, options.seconds) for _ in range(options.rounds) for step in steps]
        best = [_median(closed, step.name) for step in steps]
        for step, run in zip(steps, best, strict=True):
            run["half load"] = _half_load(step, run["requests_per_second"])
            run["at half load"] = _open(step, run["half load"], options.seconds)
        asked = next(run for run in best if run["step"] == ASKED.name)
        direct = _direct(environment, asked["half load"], options.seconds)
        bare = _open(next(step for step in steps if step.name == BARE_SAME), asked["half load"], options.seconds)
        with crowded(stack, last.url):
            best.append(_closed(last, options.seconds))
    _show(best)
    _show_ratios(best, direct, bare)
    print(f"Written to {_write(best, direct, bare, options)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="per step (default: 4)")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many is shown (default: 3)")
    return parser.parse_args()


@contextmanager
def _stack(home: Path) -> Iterator[StackState]:
    """A shop of the benchmark's own."""
    environment = {**os.environ, "KIRANA_HOME": str(home)}
    kirana = Path(sys.executable).with_name("kirana")
    subprocess.run([kirana, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        yield state.load(home)
    finally:
        subprocess.run([kirana, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


def _edge_environment(stack: StackState, folder: Path) -> dict[str, str]:
    """As the stack's own edge has it, but for the table, and without Consul, which might bring another one."""
    write_table(folder / "routes.yaml")
    drawn = passwords(stack.home)
    return {
        **os.environ,
        **edge_environment(stack, drawn, port=free_port(), workers=1),
        "KIRANA_AMQP_URL": amqp_url("edge", stack, drawn),
        "KIRANA_CONSUL_URL": "",
        "KIRANA_INSTANCE": "bench-edge",
        "KIRANA_ROUTES": str(folder / "routes.yaml"),
        "KIRANA_ROUTES_KEPT": str(folder / "routes.kept"),
    }


@contextmanager
def _steps(stack: StackState, environment: Mapping[str, str], folder: Path) -> Iterator[list[Step]]:
    token = _token(stack)
    url = f"http://127.0.0.1:{environment['KIRANA_EDGE_PORT']}"
    with ExitStack() as held:
        edge = held.enter_context(running("edge", environment=environment))
        wait_for(f"{url}/routed")
        steps = [_step(rung, url, edge, token) for rung in LADDER]
        answer = _settled(next(step for step in steps if step.name == CACHED.name))
        headers = {
            name: value for name, value in answer.headers.items() if name not in {"content-length", "connection"}
        }
        bare = []
        for name, shown in ((BARE, {}), (BARE_SAME, headers)):
            file, port = folder / f"{len(bare)}.json", free_port()
            file.write_text(json.dumps({"headers": shown, "body": answer.text}), encoding="utf-8")
            process = held.enter_context(running("benchmarks.edge.bare", str(port), str(file), environment=environment))
            bare.append(Step(name, f"http://127.0.0.1:{port}/cached/1", process, {"Authorization": f"Bearer {token}"}))
            wait_for(bare[-1].url)
        yield bare + steps


def _step(rung: Rung, url: str, edge: psutil.Process, token: str) -> Step:
    headers = {} if rung.auth == "none" else {"Authorization": f"Bearer {token}"}
    if rung.traced:
        headers["traceparent"] = TRACEPARENT
    fixed = rung.path.removesuffix("{product_id}")
    path = fixed if rung.numbered else rung.path.replace("{product_id}", "1")
    return Step(rung.name, url + path, edge, headers, PRODUCTS if rung.numbered else None)


def _settled(step: Step) -> httpx.Response:
    """The answer that a hit gives. Raises when the cache does not hold it by the third look."""
    for _ in range(3):
        answer = httpx.get(step.url, headers=dict(step.headers)).raise_for_status()
    if "hit" not in answer.headers["cache-status"]:
        raise SystemExit(f"{step.url} is not kept: {answer.headers['cache-status']}")
    return answer


def _token(stack: StackState) -> str:
    credentials = {"username": stack.admin_username, "password": stack.admin_password}
    return str(httpx.post(f"{stack.edge_url}/api/token", json=credentials).raise_for_status().json()["access"])


def _closed(step: Step, seconds: float) -> dict[str, Any]:
    """As fast as so many clients can ask."""
    options = {"clients": CLIENTS, "counted": step.counted, "headers": step.headers}
    wrk.run(step.url, seconds=WARM_UP_SECONDS, **options)
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


def _median(runs: list[dict[str, Any]], name: str) -> dict[str, Any]:
    rounds = sorted((run for run in runs if run["step"] == name), key=lambda run: run["requests_per_second"])
    return rounds[len(rounds) // 2]


def _half_load(step: Step, most: float) -> float:
    """Half of the ``most`` that a crowd of connections gets; less, if that keeps all processors busy for more.

    It can, for what comes in a crowd is cheaper: it shares frames, statements and round trips. The load generator's own
    part is left out.
    """
    least, most = 0.0, most / 2
    rate = most
    for _ in range(HALVINGS):
        before = _busy() - _generator()
        _open(step, rate, LOOK_SECONDS)
        share = (_busy() - _generator() - before) / LOOK_SECONDS / psutil.cpu_count()
        least, most = (least, rate) if share > HALF else (rate, most)
        if least == most:
            break
        rate = (least + most) / 2
    return round(least)


def _open(step: Step, rate: float, seconds: float) -> dict[str, Any]:
    """Requests that come when they come."""
    counted = ["--counted", str(step.counted)] if step.counted else []
    headers = [part for name, value in step.headers.items() for part in ("--header", f"{name}:{value}")]
    return _told("open_loop", step.url, str(rate), str(seconds), *counted, *headers)


def _direct(environment: Mapping[str, str], rate: float, seconds: float) -> dict[str, Any]:
    return _told("direct", str(rate), str(seconds), str(PRODUCTS), environment=environment)


def _told(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.edge.{module}", *arguments]
    done = subprocess.run(command, env=environment and dict(environment), capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _show(runs: list[dict[str, Any]]) -> None:
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


def _show_ratios(runs: list[dict[str, Any]], direct: Mapping[str, float], bare: Mapping[str, float]) -> None:
    by = {run["step"]: run for run in runs}
    hit, asked = by[CACHED.name], by[ASKED.name]["at half load"]
    for name in (BARE_SAME, BARE):
        share = hit["requests_per_second"] / by[name]["requests_per_second"]
        print(f"a cache hit through all stages: {share:.0%} of {name}")
    p50, p99 = (f"{asked[name] - direct[name]:.2f} ms" for name in ("p50_ms", "p99_ms"))
    for rung, what in ((SHED, "to turn a reader away at the door"), (REFUSED, "to refuse one who asks too often")):
        share = by[rung.name]["all_us"] / by[ASKED.name]["all_us"]
        print(f"{what} costs {share:.1%} of an uncached read, all CPU but the load generator's counted")
    print(f"the gateway adds {p50} (p50) and {p99} (p99) to an uncached RPC at half load")
    print(
        f"bare Sanic, asked as often, takes {bare['p50_ms']:.2f} ms (p50) and {bare['p99_ms']:.2f} ms (p99) by itself"
    )


def _write(
    runs: list[dict[str, Any]], direct: Mapping[str, float], bare: Mapping[str, float], options: argparse.Namespace
) -> Path:
    RESULTS.mkdir(exist_ok=True)
    at = datetime.now(UTC)
    document = {
        "benchmark": "edge",
        "at": at.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "direct": dict(direct),
        "bare at the same rate": dict(bare),
        "runs": runs,
    }
    path = RESULTS / f"edge-{at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
