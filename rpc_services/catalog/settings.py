"""What the catalog is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.settings.reader import Reader, one_of
from shared.values.money import EXPONENTS


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``currency`` is the shop's own: price filters are amounts of it."""

    currency: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises :class:`~shared.settings.reader.BadSettings` with every fault."""
    reader = Reader(environment)
    currency = reader.read("CURRENCY", one_of(*EXPONENTS), "EUR")
    reader.finish()
    return Settings(currency=currency)
