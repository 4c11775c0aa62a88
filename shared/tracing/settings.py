"""Reads whether, where and how many traces a process tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from shared.settings.reader import Reader

SIGNAL = "/v1/traces"


@dataclass(frozen=True)
class TracingSettings:
    """``endpoint`` is the collector's full address for spans; ``ratio`` of traces that begin here are recorded."""

    endpoint: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    ratio: float = 1.0


def read_tracing_settings(reader: Reader) -> TracingSettings | None:
    """``KIRANA_OTLP_ENDPOINT``, without which nothing is recorded; faults are left with the reader.

    ``KIRANA_OTLP_HEADERS`` (best as ``_FILE``, as they hold keys) are ``name=value`` pairs between commas;
    ``KIRANA_TRACE_RATIO`` is from 0 to 1.
    """
    endpoint = reader.read("OTLP_ENDPOINT", _endpoint, "")
    none: dict[str, str] = {}
    headers = reader.read("OTLP_HEADERS", _headers, none)
    ratio = reader.read("TRACE_RATIO", _ratio, 1.0)
    return TracingSettings(endpoint, headers, ratio) if endpoint else None


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the URL of an OTLP/HTTP collector is expected, such as http://collector:4318.")
    return text if parts.path.endswith(SIGNAL) else text.rstrip("/") + SIGNAL


def _headers(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if any(not name.strip() or not equals for name, equals, _ in pairs):
        raise ValueError("pairs such as authorization=Bearer%20… are expected, separated by commas.")
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _ratio(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1 is expected.")
    return number
