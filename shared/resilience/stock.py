"""Remembers that a service turned out to know no frames, for as long as that is worth believing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

STOCK_SECONDS = 300.0
"""So long a service that knew no frames is sent none: once another one has its name, in a rolling update perhaps, it is
found within minutes, and what stays stock sends one frame in that time back, whose calls take a detour."""


class Stock:
    """What one caller knows of one service. ``clock`` gives monotonic seconds."""

    def __init__(self, service: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._until = -math.inf

    @property
    def is_known(self) -> bool:
        """Whether a frame is not worth sending."""
        return self._clock() < self._until

    def note(self, *, is_forbidden: bool = False) -> None:
        """It gets no frames for a while; never again where the broker forbids them, for trying costs others theirs."""
        if not self.is_known:
            log.info("rpc.frames.not_spoken", service_called=self._service)
        self._until = max(self._until, math.inf if is_forbidden else self._clock() + STOCK_SECONDS)
