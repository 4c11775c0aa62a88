"""What the edge records of a request that it passes on to a service that speaks HTTP: each attempt for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.tracing import recording
from shared.tracing.recording import UNRECORDED, Value, part

if TYPE_CHECKING:
    from edge.discovery.table import Instance
    from edge.upstreams.headers import Fields

FAULTS_FROM = 400
"""The conventions call every answer from here on a fault of whoever asked, or of whom was asked."""


def asking(instance: Instance, method: str) -> part:
    """One attempt."""
    if recording.active is None:
        return UNRECORDED
    where: dict[str, Value] = {"server.address": instance.address, "server.port": instance.port}
    return part(method, {"http.request.method": method, "kirana.service": instance.service, **where})


def under(span: part, fields: Fields) -> Fields:
    """The fields with the attempt as the parent of what the service does."""
    if span.own is None:
        return fields
    own = span.own
    return [(name, own if name == "traceparent" else value) for name, value in fields]


def noted(span: part, status: int) -> None:
    """What the service answered."""
    span.attributes["http.response.status_code"] = status
    if status >= FAULTS_FROM:
        span.fault = str(status)
