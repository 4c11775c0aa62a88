"""What the cart service is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.settings.reader import Reader, words


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``redis_urls`` may carry passwords; ``journal`` is the SQLite file."""

    redis_urls: tuple[str, ...] = field(repr=False)
    journal: Path


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises :class:`~shared.settings.reader.BadSettings` with every fault."""
    reader = Reader(environment)
    redis_urls = reader.read("REDIS_CARTS", _redis_urls)
    journal = reader.read("CART_JOURNAL", Path)
    reader.finish()
    return Settings(redis_urls=redis_urls, journal=journal)


def _redis_urls(text: str) -> tuple[str, ...]:
    urls = words(text)
    if not urls or not all(url.startswith(("redis://", "rediss://", "unix://")) for url in urls):
        raise ValueError("Redis URLs with commas between them are expected.")
    return urls
