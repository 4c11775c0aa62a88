"""What is measured: a shop, an edge of the benchmark's own before it, and bare Sanic beside that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psutil

from benchmarks.edge.measuring import PRODUCTS, Step
from benchmarks.edge.rungs import CACHED, LADDER, TRACEPARENT, Rung, write_table
from benchmarks.processes import running, wait_for
from kirana.stack import state
from kirana.stack.passwords import passwords
from kirana.stack.programs import amqp_url, edge_environment
from kirana.stack.state import StackState
from tests.builders.servers import free_port

BARE, BARE_SAME = "bare Sanic, body alone", "bare Sanic, same bytes"
BARE_ASKING = "bare Sanic that asks"


@contextmanager
def shop(home: Path) -> Iterator[StackState]:
    """A shop of the benchmark's own."""
    environment = {**os.environ, "KIRANA_HOME": str(home)}
    kirana = Path(sys.executable).with_name("kirana")
    subprocess.run([kirana, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        yield state.load(home)
    finally:
        subprocess.run([kirana, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


def its_edge(stack: StackState, folder: Path) -> dict[str, str]:
    """Settings of an edge like the stack's own, but with another table, and without Consul, which might bring one."""
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
def steps(stack: StackState, environment: Mapping[str, str], folder: Path) -> Iterator[dict[str, Step]]:
    """By name, in the order of the ladder; bare Sanic first, in three forms."""
    token = _token(stack)
    url = f"http://127.0.0.1:{environment['KIRANA_EDGE_PORT']}"
    with ExitStack() as held:
        edge = held.enter_context(running("edge", environment=environment))
        wait_for(f"{url}/routed")
        ladder = [_step(rung, url, edge, token) for rung in LADDER]
        answer = _settled(next(step for step in ladder if step.name == CACHED.name))
        headers = {
            name: value for name, value in answer.headers.items() if name not in {"content-length", "connection"}
        }
        bare = []
        for name, shown in ((BARE, {}), (BARE_SAME, headers)):
            file = folder / f"{len(bare)}.json"
            file.write_text(json.dumps({"headers": shown, "body": answer.text}), encoding="utf-8")
            bare.append(held.enter_context(_bare(name, "bare", "/cached/1", environment, token, str(file))))
        bare.append(held.enter_context(_bare(BARE_ASKING, "bare_asking", "/asked/1", environment, token)))
        asking = bare[-1]
        bare[-1] = replace(asking, url=asking.url.removesuffix("1"), counted=PRODUCTS)
        yield {step.name: step for step in bare + ladder}


@contextmanager
def _bare(
    name: str, module: str, path: str, environment: Mapping[str, str], token: str, *arguments: str
) -> Iterator[Step]:
    port = free_port()
    with running(f"benchmarks.edge.{module}", str(port), *arguments, environment=environment) as process:
        step = Step(name, f"http://127.0.0.1:{port}{path}", process, {"Authorization": f"Bearer {token}"})
        wait_for(step.url)
        yield step


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
