"""Lists the processes of a stack: how each is started, with which environment, and how it is asked to stop."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kirana.stack import releases, shipping
from kirana.stack.state import CHECKOUT, StackState

SERVICES = ("identity", "catalog", "cart", "order", "notification")
WITH_DATABASE = ("identity", "catalog", "order", "notification")

TUNABLE = (
    "KIRANA_DATABASE_POOL",
    "KIRANA_EDGE_COALESCING",
    "KIRANA_EDGE_CACHE_BYTES",
    "KIRANA_EDGE_CONNECTIONS",
    "KIRANA_EDGE_CORS_ORIGINS",
    "KIRANA_EDGE_DENY",
    "KIRANA_EDGE_DRAIN_SECONDS",
    "KIRANA_EDGE_LEAST_IN_FLIGHT",
    "KIRANA_EDGE_RATE_SCALE",
    "KIRANA_EDGE_WORKER_REQUESTS",
    "KIRANA_JWT_ALGORITHM",
    "KIRANA_JWT_ALGORITHMS",
    "KIRANA_KEY_PUBLISH_AHEAD",
    "KIRANA_LOGIN_THROTTLE_SCALE",
    "KIRANA_LOG_LEVEL",
    "KIRANA_MAIL_FROM",
    "KIRANA_MAX_WORKERS",
    "KIRANA_OTLP_ENDPOINT",
    "KIRANA_PAYMENTS",
    "KIRANA_ROUTES",
    "KIRANA_SMTP_TIMEOUT",
    "KIRANA_TRACE_RATIO",
    "KIRANA_TRUSTED_PROXIES",
)
"""What an operator may set in the shell from which ``kirana up`` is run."""

GENEROUS = {"KIRANA_EDGE_RATE_SCALE": "1000", "KIRANA_LOGIN_THROTTLE_SCALE": "1000"}
"""A load test of the local stack comes from one address."""


NO_NAMES = {"EVENTLET_NO_GREENDNS": "yes"}
"""The stack's servers are known by their addresses, so services need no names; what would look them up loads slowly."""


@dataclass(frozen=True)
class Program:
    """One supervised process. ``owns_log`` says that it writes the log spool, so its standard output is dropped.

    It is started in ``folder``, else in the stack's.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    owns_log: bool = False
    stop_group: bool = True
    folder: Path | None = None


@dataclass(frozen=True)
class Wishes:
    """What the operator asked of ``kirana up``."""

    edge_workers: int = 1
    scale: Mapping[str, int] = field(default_factory=dict)
    seed: bool = True


def service_environment(service: str, state: StackState, passwords: Mapping[str, str]) -> dict[str, str]:
    """The settings of every process of ``service``, and of its migrations."""
    environment = common_environment(state) | {"KIRANA_AMQP_URL": amqp_url(service, state, passwords)} | NO_NAMES
    if service in WITH_DATABASE:
        environment["KIRANA_DATABASE_URL"] = state.postgres[service]
    return environment | _own_environment(service, state, passwords)


def _own_environment(service: str, state: StackState, passwords: Mapping[str, str]) -> dict[str, str]:
    match service:
        case "identity":
            return {"KIRANA_KEY_PASSPHRASE": passwords["identity.key_passphrase"]}
        case "cart":
            return {
                "KIRANA_REDIS_CARTS": ",".join(state.redis_carts),
                "KIRANA_CART_JOURNAL": str(state.home / "cart" / "journal.sqlite"),
            }
        case "notification":
            return {"KIRANA_SMTP_URL": state.smtp}
    return {}


def edge_environment(state: StackState, passwords: Mapping[str, str], *, port: int, workers: int) -> dict[str, str]:
    """The settings of the edge."""
    return common_environment(state) | {
        "KIRANA_AMQP_URL": amqp_url("edge", state, passwords),
        "KIRANA_REDIS_EDGE": state.redis_edge,
        "KIRANA_CURSOR_SECRET": passwords["edge.cursor_secret"],
        "KIRANA_EDGE_HOST": "127.0.0.1",
        "KIRANA_EDGE_PORT": str(port),
        "KIRANA_ROUTES_KEPT": str(state.home / "edge" / "routes.kept"),
        "KIRANA_EDGE_WORKERS": str(workers),
    }


def common_environment(state: StackState) -> dict[str, str]:
    """What every process of ours reads, with the operator's own wishes."""
    chosen = {name: os.environ[name] for name in TUNABLE if os.environ.get(name)}
    return (
        GENEROUS
        | chosen
        | {
            "KIRANA_CONSUL_URL": state.consul or "",
            "KIRANA_JWT_ISSUER": state.edge_url,
            "KIRANA_LOG_SPOOL": str(state.spool),
            "KIRANA_ENVIRONMENT": "local",
            "KIRANA_BUILD": build(),
        }
    )


def amqp_url(user: str, state: StackState, passwords: Mapping[str, str]) -> str:
    """The broker as ``user`` reaches it."""
    address = state.amqp.partition("@")[2]
    return f"amqp://{user}:{passwords[f'amqp.{user}']}@{address}"


def metered(scale: Mapping[str, int]) -> list[str]:
    """The programs that tell their metrics, each on a port of its own."""
    ours = ["edge", *(name for service in SERVICES for name in _instances(service, scale))]
    return [*ours, shipping.NAME] if shipping.is_wanted() else ours


def our_programs(state: StackState, passwords: Mapping[str, str], wishes: Wishes, *, edge_port: int) -> list[Program]:
    """The mail sink, the services and the edge, in the order in which they are started."""
    sink_environment = common_environment(state) | {
        "KIRANA_SMTP_URL": state.smtp,
        "KIRANA_MAIL_DIR": str(state.mail),
        "KIRANA_INSTANCE": "mail-sink",
    }
    edge = edge_environment(state, passwords, port=edge_port, workers=wishes.edge_workers)
    return [
        Program(
            "mail-sink", (sys.executable, "-m", "kirana.mail_sink"), sink_environment, stop_seconds=10, owns_log=True
        ),
        *_service_programs(state, passwords, wishes.scale),
        Program(
            "edge",
            (sys.executable, "-m", "edge"),
            edge
            | {"KIRANA_INSTANCE": "edge-1", "KIRANA_METRICS_PORT": _metrics_port("edge", state)}
            | releases.environment(state.home, "edge"),
            owns_log=True,
            stop_group=False,  # its main process tells its workers; a second signal would cut their last answers
        ),
        *_shippers(state),
    ]


def _shippers(state: StackState) -> Iterable[Program]:
    if shipping.is_wanted():
        common = common_environment(state) | {"KIRANA_BUILD": build(("shared", "shipper"))}
        environment = shipping.environment(common, _metrics_port(shipping.NAME, state))
        yield Program(shipping.NAME, shipping.COMMAND, environment, stop_seconds=shipping.STOP_SECONDS, owns_log=True)


def _service_programs(state: StackState, passwords: Mapping[str, str], scale: Mapping[str, int]) -> Iterable[Program]:
    for service in SERVICES:
        environment = service_environment(service, state, passwords) | releases.environment(state.home, service)
        for name in _instances(service, scale):
            command = (sys.executable, "-m", "rpc_services", service)
            own = {"KIRANA_INSTANCE": name, "KIRANA_METRICS_PORT": _metrics_port(name, state)}
            yield Program(name, command, environment | own, owns_log=True)


def _instances(service: str, scale: Mapping[str, int]) -> list[str]:
    return [f"{service}-{number}" for number in range(1, scale.get(service, 1) + 1)]


def _metrics_port(name: str, state: StackState) -> str:
    """Empty, which turns them off, where no port was chosen."""
    port = urlsplit(state.metrics.get(name, "")).port
    return str(port) if port else ""


def build(packages: Iterable[str] = ("shared", "rpc_services", "edge")) -> str:
    """Changes when our code does, so that another ``kirana up`` restarts what runs old code."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((CHECKOUT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                seen = path.stat()
                digest.update(f"{path.relative_to(CHECKOUT)} {seen.st_mtime_ns} {seen.st_size}\n".encode())
    return digest.hexdigest()[:12]


def fingerprint(*files: Path) -> dict[str, str]:
    """An environment that differs when the files do, so that a server with a new configuration is restarted."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return {"KIRANA_CONFIGURATION": digest.hexdigest()[:12]}
