"""Remembers which services turned out to know no frames, for as long as that is worth believing."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

STOCK_SECONDS = 300.0
"""So long a service that knew no frames is sent none: once another one has its name, in a rolling update perhaps, it is
found within minutes, and what stays stock sends one frame in that time back, whose calls take a detour."""


class StockServices:
    """``clock`` gives monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, service: str, *, is_forbidden: bool = False) -> None:
        """It gets no frames for a while; never again where the broker forbids them, for trying costs others theirs."""
        if not self.are_known_to_include(service):
            log.info("rpc.frames.not_spoken", service_called=service)
        until = math.inf if is_forbidden else self._clock() + STOCK_SECONDS
        self._until[service] = max(until, self._until.get(service, until))

    def are_known_to_include(self, service: str) -> bool:
        """Whether a frame is not worth sending."""
        return self._clock() < self._until.get(service, -math.inf)

    def may_include(self, service: str) -> bool:
        """Whether it was stock at any time: it may be so still, or in part, however long ago it was found out."""
        return service in self._until
