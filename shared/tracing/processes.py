"""Begins and ends the recording of a process, which loads OpenTelemetry only where a collector is set."""

from __future__ import annotations

from typing import Protocol

from shared.tracing.settings import TracingSettings


class Closing(Protocol):
    """What was begun."""

    def close(self) -> None:
        """Record no more, and send what waits; takes 3 s at most."""


def begin_recording(
    settings: TracingSettings | None, *, service: str, instance: str, environment: str
) -> Closing | None:
    """Record from now on, if a collector is set. Call it in the process that works, after it was forked and patched."""
    if settings is None:
        return None
    from shared.tracing.exporting import start

    return start(settings, service=service, instance=instance, environment=environment)
