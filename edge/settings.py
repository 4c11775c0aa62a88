"""What an operator may set for the edge: read once per process, all faults reported at once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.metrics.settings import OFF, MetricsAddress, read_metrics_address
from shared.settings.reader import Reader, boolean, positive, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PACKAGED_ROUTES = Path(__file__).with_name("routes.yaml")
SHORTEST_SECRET = 16


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one edge. Secrets stay out of ``repr``.

    Without ``coalescing`` each call travels in a message of its own: for comparison, and to rule frames out.
    """

    amqp_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    cursor_secret: str = field(repr=False)
    consul_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    rate_scale: float = 1.0
    cors_origins: tuple[str, ...] = ()
    routes: Path = PACKAGED_ROUTES
    jwt_issuer: str = "kirana"
    jwt_audience: str = "kirana-api"
    instance: str = "edge"
    environment: str = "local"
    log_level: str = "info"
    log_spool: Path | None = None
    coalescing: bool = True
    metrics: MetricsAddress = OFF


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment. Raises :class:`shared.settings.reader.BadSettings` naming every fault."""
    reader = Reader(environment)
    settings = Settings(
        amqp_url=reader.read("AMQP_URL", _url("amqp", "amqps")),
        redis_url=reader.read("REDIS_EDGE", _url("redis", "rediss", "unix")),
        cursor_secret=reader.read("CURSOR_SECRET", _secret),
        consul_url=reader.read("CONSUL_URL", _url("http", "https"), "") or None,
        host=reader.read("EDGE_HOST", str, "127.0.0.1"),
        port=reader.read("EDGE_PORT", positive, 8000),
        workers=reader.read("EDGE_WORKERS", positive, 1),
        rate_scale=reader.read("EDGE_RATE_SCALE", _above_zero, 1.0),
        cors_origins=reader.read("EDGE_CORS_ORIGINS", words, ()),
        routes=reader.read("ROUTES", Path, PACKAGED_ROUTES),
        jwt_issuer=reader.read("JWT_ISSUER", str, "kirana"),
        jwt_audience=reader.read("JWT_AUDIENCE", str, "kirana-api"),
        instance=reader.read("INSTANCE", str, f"edge-{os.getpid()}"),
        environment=reader.read("ENVIRONMENT", str, "local"),
        log_level=reader.read("LOG_LEVEL", str, "info"),
        log_spool=reader.read("LOG_SPOOL", Path, Path()) if environment.get("KIRANA_LOG_SPOOL") else None,
        coalescing=reader.read("EDGE_COALESCING", boolean, default=True),
        metrics=read_metrics_address(reader),
    )
    reader.finish()
    return settings


def _url(*schemes: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError(f"a URL that starts with {' or '.join(f'{scheme}://' for scheme in schemes)} is expected.")
        return text

    return cast


def _secret(text: str) -> str:
    if len(text) < SHORTEST_SECRET:
        raise ValueError(f"at least {SHORTEST_SECRET} characters are expected.")
    return text


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError("a number above zero is expected.")
    return number
