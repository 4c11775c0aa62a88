"""Reads where the shipper takes lines from, where it brings them, and what it may use for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from shared.metrics.settings import OFF, MetricsAddress, read_metrics_address
from shared.settings.reader import Reader, positive, words

DISK_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Destination:
    """An Elasticsearch and who we are there: an API key, or a user with a password, or nobody."""

    urls: tuple[str, ...]
    api_key: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    authority: str = ""
    request_seconds: int = 30


@dataclass(frozen=True)
class Settings:
    """``disk_bytes`` bounds the full files that wait; ``in_flight`` the requests under way at once."""

    destination: Destination
    spool: Path
    instance: str = "shipper-1"
    environment: str = "local"
    level: str = "info"
    disk_bytes: int = DISK_BYTES
    in_flight: int = 4
    drain_seconds: int = 10
    metrics: MetricsAddress = OFF


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises :class:`BadSettings` with every fault."""
    reader = Reader(environment)
    settings = Settings(
        destination=read_destination(reader),
        spool=reader.read("LOG_SPOOL", Path, Path()) if environment.get("KIRANA_LOG_SPOOL") else _required(reader),
        instance=reader.read("INSTANCE", str, "shipper-1"),
        environment=reader.read("ENVIRONMENT", str, "local"),
        level=reader.read("LOG_LEVEL", str, "info"),
        disk_bytes=reader.read("SHIPPER_DISK_BYTES", positive, DISK_BYTES),
        in_flight=reader.read("SHIPPER_IN_FLIGHT", positive, 4),
        drain_seconds=reader.read("SHIPPER_DRAIN_SECONDS", positive, 10),
        metrics=read_metrics_address(reader),
    )
    reader.finish()
    return settings


def read_destination(reader: Reader) -> Destination:
    """``KIRANA_ELASTICSEARCH_…``; several addresses are parted by commas. Faults are left with the reader."""
    return Destination(
        urls=reader.read("ELASTICSEARCH_URL", _addresses, ()) or _without_address(reader),
        api_key=reader.read("ELASTICSEARCH_API_KEY", str, ""),
        user=reader.read("ELASTICSEARCH_USER", str, ""),
        password=reader.read("ELASTICSEARCH_PASSWORD", str, ""),
        authority=reader.read("ELASTICSEARCH_CA", _file, ""),
        request_seconds=reader.read("ELASTICSEARCH_TIMEOUT", positive, 30),
    )


def _without_address(reader: Reader) -> tuple[str, ...]:
    reader.read("ELASTICSEARCH_URL", _addresses)
    return ()


def _required(reader: Reader) -> Path:
    reader.read("LOG_SPOOL", Path)
    return Path()


def _addresses(text: str) -> tuple[str, ...]:
    urls = words(text)
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("addresses such as https://elasticsearch:9200 are expected.")
        if parts.username or parts.password:
            raise ValueError("name user and password in settings of their own, not in the address.")
    return tuple(url if urlsplit(url).port else f"{url.rstrip('/')}:9200" for url in urls)


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError(f"there is no file {text}.")
    return text
