"""Who listens to which service, as last seen on the broker: what the edge and the services make of their looks."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from shared.contracts.exchanges import calls_queue

log = structlog.get_logger()

CALM_SECONDS = 1.0
ALERT_SECONDS = 0.25

NOBODY_LISTENS = "no instance of the service is listening"
"""Why a call is refused while its service is absent."""


class Presence:
    """``on_absence`` hears of a service that nobody listens to, ``on_return`` when one is first seen or is back."""

    def __init__(self, *, on_absence: Callable[[str], None], on_return: Callable[[str], None]) -> None:
        self._on_absence = on_absence
        self._on_return = on_return
        self.seen: dict[str, int] = {}
        """Consumers per service; who is not in it is not known."""

    @property
    def pause(self) -> float:
        """Seconds until the next look: shorter while somebody is absent."""
        return ALERT_SECONDS if 0 in self.seen.values() else CALM_SECONDS

    def note(self, service: str, consumers: int) -> None:
        """Take in what was seen."""
        before = self.seen.get(service)
        self.seen[service] = consumers
        if before != consumers and 0 in {before, consumers}:
            log.info("rpc.consumers.changed", queue=calls_queue(service), consumers=consumers)
        if not before and consumers:
            self._on_return(service)
        if before != 0 and not consumers:
            self._on_absence(service)

    def forget(self, service: str) -> None:
        """Nobody knows any more whether anybody listens: if it was absent, it is to be tried."""
        if self.seen.pop(service, None) == 0:
            self._on_return(service)
