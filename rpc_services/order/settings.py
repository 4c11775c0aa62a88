"""What the order service is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.settings.reader import Reader, one_of


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``payments`` is ``none`` (pay on delivery) or ``test``."""

    payments: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises :class:`~shared.settings.reader.BadSettings` with every fault."""
    reader = Reader(environment)
    payments = reader.read("PAYMENTS", one_of("none", "test"), "none")
    reader.finish()
    return Settings(payments=payments)
