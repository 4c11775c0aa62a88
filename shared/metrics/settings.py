"""Reads where a process tells its metrics."""

from __future__ import annotations

from dataclasses import dataclass

from shared.metrics.listening import LOOPBACK
from shared.settings.reader import Reader

HIGHEST_PORT = 65_535
_NONE = -1


@dataclass(frozen=True)
class MetricsAddress:
    """``port`` is ``None`` when metrics are off, and 0 for a free one, which the log then names."""

    host: str = LOOPBACK
    port: int | None = None


OFF = MetricsAddress()


def read_metrics_address(reader: Reader) -> MetricsAddress:
    """``KIRANA_METRICS_PORT`` and ``KIRANA_METRICS_HOST``. Faults are left with the reader."""
    port = reader.read("METRICS_PORT", _port, _NONE)
    return MetricsAddress(host=reader.read("METRICS_HOST", str, LOOPBACK), port=None if port == _NONE else port)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= HIGHEST_PORT:
        raise ValueError(f"a port from 0 to {HIGHEST_PORT} is expected.")
    return number
