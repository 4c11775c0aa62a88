"""What a service says of itself: it is well when everything it needs answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from eventlet import Timeout
from nameko.extensions import DependencyProvider

from shared.contracts.method import Health
from shared.nameko_ext.database import Database
from shared.nameko_ext.requests import Requests

OK = "ok"
CHECK_SECONDS = 2.0
BROKER = "broker"
DATABASE = "database"

Check = Callable[[], None]
"""Raises when what it looks at is not well."""


class CheckTimedOut(Exception):
    """No answer in time."""


@runtime_checkable
class Checkable(Protocol):
    """A dependency provider that can tell whether what it provides is well: it is asked without further ado."""

    def check_health(self) -> None:
        """Raise when not."""


class HealthReport(DependencyProvider):
    """Injects itself. ``HealthReport("database", shards=ping_shards)``: the broker is always looked at.

    Any provider of the service with a ``check_health()`` is asked too, under the name it has in the service.
    """

    def __init__(self, *names: str, **checks: Check) -> None:
        self._names = names
        self._checks = checks

    def get_dependency(self, worker_ctx: Any) -> HealthReport:
        """Itself."""
        del worker_ctx
        return self

    def report(self, **more: Check) -> Health:
        """Look at everything, each for 2 s at most."""
        return report_on(self.container, self._names, {**self._checks, **more})


def report_on(container: Any, names: tuple[str, ...], checks: dict[str, Check]) -> Health:
    """Ask the container's broker and database, its checkable providers and ``checks``."""
    asked: dict[str, Check] = {BROKER: lambda: _check_broker(container)}
    if DATABASE in names:
        asked[DATABASE] = container.shared_extensions[Database].check
    for provider in container.dependencies:
        if isinstance(provider, Checkable):
            asked[str(provider.attr_name)] = provider.check_health  # type: ignore[attr-defined]  # Nameko's own
    asked.update(checks)
    dependencies = {name: _outcome(check) for name, check in asked.items()}
    return Health(
        service=container.service_name,
        ok=all(outcome == OK for outcome in dependencies.values()),
        dependencies=dependencies,
    )


def _check_broker(container: Any) -> None:
    requests = container.shared_extensions.get(Requests)
    if requests is not None and not requests.consumer.is_consuming:
        raise ConnectionError("not consuming")


def _outcome(check: Check) -> str:
    """``ok``, or the kind of fault: never its text, which may name hosts and users."""
    try:
        with Timeout(CHECK_SECONDS, CheckTimedOut()):
            check()
    except Exception as fault:  # noqa: BLE001  # whatever it is, it is not well
        return type(fault).__name__
    return OK
