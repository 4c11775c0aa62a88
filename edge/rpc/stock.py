"""Remembers which services turned out to know no frames."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.resilience.stock import Stock

if TYPE_CHECKING:
    from collections.abc import Callable


class StockServices:
    """``clock`` gives monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Stock] = {}

    def note(self, service: str, *, is_forbidden: bool = False) -> None:
        """It gets no frames for a while; never again where the broker forbids them."""
        self._known.setdefault(service, Stock(service, clock=self._clock)).note(is_forbidden=is_forbidden)

    def are_known_to_include(self, service: str) -> bool:
        """Whether a frame is not worth sending."""
        known = self._known.get(service)
        return known is not None and known.is_known

    def may_include(self, service: str) -> bool:
        """Whether it was stock at any time."""
        return service in self._known
