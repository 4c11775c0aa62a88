"""Looks at a stack's processes from outside: what runs, where it listens, and whether it is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from kirana.stack import processes, readiness
from kirana.stack.definitions import METHODS
from kirana.stack.home import Home
from kirana.stack.programs import SERVICES
from kirana.stack.readiness import Probe
from kirana.stack.state import StackState
from kirana.stack.supervision import Seen, Supervisor

ORPHANED = "ORPHANED"
"""It runs, but the supervisor that would restart it is gone."""


def seen_processes(home: Home) -> list[Seen]:
    """Every process of the stack. Without a supervisor, those that outlived it."""
    supervisor = Supervisor(home)
    if supervisor.is_alive():
        return supervisor.programs()
    restarts = supervisor.restarts()
    heads: dict[str, int] = {}
    for found in processes.of_stack(home.root):
        heads.setdefault(found.program, found.pid)  # the head of a family came first
    return [Seen(name, pid, ORPHANED, restarts.get(name, 0)) for name, pid in sorted(heads.items()) if name]


def as_json(state: StackState, seen: list[Seen]) -> dict[str, Any]:
    """What ``kirana status --json`` prints."""
    listed = [asdict(process) for process in seen]
    return state.to_json() | {"processes": listed}


@dataclass(frozen=True)
class Health:
    """Where a program listens (empty for those that only call the broker) and what is wrong (empty if nothing).

    ``metrics`` is the port of its metrics, if it has any.
    """

    port: str
    complaint: str
    metrics: str = ""


def health_of(state: StackState, seen: list[Seen]) -> Mapping[str, Health]:
    """Ask every running program, all at once."""
    running = [process for process in seen if process.pid]
    with ThreadPoolExecutor(max_workers=max(1, len(running))) as pool:
        complaints = pool.map(lambda process: _probe(process.name, state)(), running)
        return {
            process.name: Health(
                _port_in(_addresses(state).get(process.name, "")),
                complaint,
                _port_in(state.metrics.get(process.name, "")),
            )
            for process, complaint in zip(running, complaints, strict=True)
        }


def _addresses(state: StackState) -> dict[str, str]:
    return {
        "postgres": next(iter(state.postgres.values())),
        "rabbitmq": state.amqp,
        "redis-carts": state.redis_carts[0],
        "redis-edge": state.redis_edge,
        "consul": state.consul or "",
        "mail-sink": state.smtp,
        "edge": state.edge_url,
    }


def _port_in(address: str) -> str:
    port = urlsplit(address).port
    return str(port) if port else ""


def _probe(name: str, state: StackState) -> Probe:
    service = name.rpartition("-")[0]
    if service in SERVICES:
        return readiness.service(state.amqp, METHODS[service])
    probe = _PROBES.get(name)
    return probe(_addresses(state)[name]) if probe else lambda: ""  # what only a deployment adds is asked by it


_PROBES: Mapping[str, Callable[[str], Probe]] = {
    "postgres": readiness.postgres,
    "rabbitmq": readiness.broker,
    "redis-carts": readiness.redis_server,
    "redis-edge": readiness.redis_server,
    "consul": readiness.consul,
    "mail-sink": readiness.smtp,
    "edge": readiness.edge,
}
