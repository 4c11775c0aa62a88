"""What an operator may set for the edge: read once per process, all faults reported at once."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge.addresses import Networks
from edge.key_set import ALGORITHMS
from edge.reception import MOST_CONNECTIONS
from shared.metrics.settings import OFF, MetricsAddress, read_metrics_address
from shared.settings.reader import Reader, boolean, positive, words
from shared.tracing.settings import TracingSettings, read_tracing_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PACKAGED_ROUTES = Path(__file__).with_name("routes.yaml")
SHORTEST_SECRET = 16


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one edge. Secrets stay out of ``repr``.

    A worker is replaced after ``worker_requests`` of them (0: never), has at most ``connections``, and when it stops
    goes on taking new requests for ``drain_seconds``, so that those who send them can learn of it.
    ``routes`` is in force while Consul holds no other table; the last good one from there is kept in ``routes_kept``.
    ``public_url`` is where clients reach the shop, as metadata tells it; by default the issuer, if that is a URL.
    ``trusted_proxies`` are the networks whose ``X-Forwarded-For`` is believed, ``denied`` those nobody is served from.
    A method's breaker opens when ``slow_percent`` of at least 20 calls took longer than ``slow_calls`` seconds (0: none
    is slow).
    Without ``coalescing`` each call travels in a message of its own: for comparison, and to rule frames out.
    """

    amqp_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    cursor_secret: str = field(repr=False)
    consul_url: str | None = None
    consul_token: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    worker_requests: int = 0
    connections: int = MOST_CONNECTIONS
    drain_seconds: float = 1.0
    rate_scale: float = 1.0
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    routes: Path = PACKAGED_ROUTES
    routes_kept: Path | None = None
    jwt_issuer: str = "kirana"
    public_url: str = "http://127.0.0.1:8000"
    jwt_audience: str = "kirana-api"
    jwt_algorithms: tuple[str, ...] = ("RS256",)
    instance: str = "edge"
    environment: str = "local"
    log_level: str = "info"
    log_spool: Path | None = None
    coalescing: bool = True
    least_in_flight: int = 96
    slow_calls: float = 0.0
    slow_percent: int = 80
    metrics: MetricsAddress = OFF
    tracing: TracingSettings | None = None
    cache_bytes: int = 64 * 1024 * 1024
    """How much each worker may keep of answers, in bytes."""

    @property
    def is_alone(self) -> bool:
        """Whether the one process is both keeper and worker: nobody could replace it."""
        return self.workers == 1 and not self.worker_requests


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment. Raises :class:`shared.settings.reader.BadSettings` naming every fault."""
    reader = Reader(environment)
    settings = Settings(
        amqp_url=reader.read("AMQP_URL", _url("amqp", "amqps")),
        redis_url=reader.read("REDIS_EDGE", _url("redis", "rediss", "unix")),
        cursor_secret=reader.read("CURSOR_SECRET", _secret),
        consul_url=reader.read("CONSUL_URL", _url("http", "https"), "") or None,
        consul_token=reader.read("CONSUL_TOKEN", str, "") or None,
        host=reader.read("EDGE_HOST", str, "127.0.0.1"),
        port=reader.read("EDGE_PORT", positive, 8000),
        workers=reader.read("EDGE_WORKERS", positive, 1),
        worker_requests=reader.read("EDGE_WORKER_REQUESTS", _whole, 0),
        connections=reader.read("EDGE_CONNECTIONS", positive, MOST_CONNECTIONS),
        drain_seconds=reader.read("EDGE_DRAIN_SECONDS", _above_zero, 1.0),
        rate_scale=reader.read("EDGE_RATE_SCALE", _above_zero, 1.0),
        cors_origins=reader.read("EDGE_CORS_ORIGINS", words, ()),
        trusted_proxies=reader.read("TRUSTED_PROXIES", _networks, ()),
        denied=reader.read("EDGE_DENY", _networks, ()),
        routes=reader.read("ROUTES", Path, PACKAGED_ROUTES),
        routes_kept=reader.read("ROUTES_KEPT", Path, Path()) if environment.get("KIRANA_ROUTES_KEPT") else None,
        jwt_issuer=reader.read("JWT_ISSUER", str, "kirana"),
        public_url=reader.read("PUBLIC_URL", _public, _public_default(environment)),
        jwt_audience=reader.read("JWT_AUDIENCE", str, "kirana-api"),
        jwt_algorithms=reader.read("JWT_ALGORITHMS", _algorithms, ("RS256",)),
        instance=reader.read("INSTANCE", str, f"edge-{socket.gethostname()}-{os.getpid()}"),
        environment=reader.read("ENVIRONMENT", str, "local"),
        log_level=reader.read("LOG_LEVEL", str, "info"),
        log_spool=reader.read("LOG_SPOOL", Path, Path()) if environment.get("KIRANA_LOG_SPOOL") else None,
        coalescing=reader.read("EDGE_COALESCING", boolean, default=True),
        slow_calls=reader.read("EDGE_SLOW_CALLS", _seconds, 0.0),
        slow_percent=reader.read("EDGE_SLOW_PERCENT", _percent, 80),
        least_in_flight=reader.read("EDGE_LEAST_IN_FLIGHT", positive, 96),
        metrics=read_metrics_address(reader),
        tracing=read_tracing_settings(reader),
        cache_bytes=reader.read("EDGE_CACHE_BYTES", positive, 64 * 1024 * 1024),
    )
    reader.finish()
    return settings


def _url(*schemes: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError(f"a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)} is expected.")
        return text

    return cast


def _public(text: str) -> str:
    return _url("http", "https")(text).rstrip("/")


def _public_default(environment: Mapping[str, str]) -> str:
    """What identity calls itself, where that is an address; else this edge's own."""
    issuer = environment.get("KIRANA_JWT_ISSUER", "")
    if urlsplit(issuer).scheme in {"http", "https"}:
        return issuer.rstrip("/")
    return f"http://{environment.get('KIRANA_EDGE_HOST', '127.0.0.1')}:{environment.get('KIRANA_EDGE_PORT', '8000')}"


def _whole(text: str) -> int:
    return 0 if text == "0" else positive(text)


def _secret(text: str) -> str:
    if len(text) < SHORTEST_SECRET:
        raise ValueError(f"at least {SHORTEST_SECRET} characters are expected.")
    return text


def _algorithms(text: str) -> tuple[str, ...]:
    listed = words(text)
    if not listed or not set(listed) <= set(ALGORITHMS):
        raise ValueError(f"at least one of {', '.join(ALGORITHMS)} is expected, separated by commas.")
    return listed


def _networks(text: str) -> tuple[str, ...]:
    listed = words(text)
    Networks(listed)
    return listed


def _seconds(text: str) -> float:
    return 0.0 if text == "0" else _above_zero(text)


def _percent(text: str) -> int:
    number = positive(text)
    if number > 100:  # noqa: PLR2004 - a hundred of a hundred
        raise ValueError("a number from 1 to 100 is expected.")
    return number


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError("a number above zero is expected.")
    return number
