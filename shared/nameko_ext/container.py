"""Nameko's container, with the two ways closed in which one worker could take the whole service down."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import structlog
from eventlet import Timeout
from eventlet.support.greenlets import GreenletExit
from nameko.containers import ServiceContainer as NamekoContainer

log = structlog.get_logger()

DRAIN_SECONDS = 20.0


@runtime_checkable
class Work(Protocol):
    """What an entrypoint hands to the container in place of Nameko's ``handle_result``."""

    def run(self, worker_ctx: Any, invoke: Callable[..., Any]) -> None:
        """Do everything; ``invoke(*args)`` runs the service's method."""


class ServiceContainer(NamekoContainer):
    """A worker that fails in any way is logged, never fatal; stopping waits for running workers, but not for ever."""

    def stop(self) -> None:
        """Drain, then leave. What still runs after :data:`DRAIN_SECONDS` is given up; the broker redelivers it."""
        with Timeout(DRAIN_SECONDS, exception=False):
            super().stop()
            return
        log.warning("service.drain_gave_up", workers=len(self._worker_threads))
        self.kill()

    def _run_worker(self, worker_ctx: Any, handle_result: Any) -> None:
        if not isinstance(handle_result, Work):
            super()._run_worker(worker_ctx, handle_result)
            return
        try:
            handle_result.run(worker_ctx, lambda *args: self._invoke(worker_ctx, args))
        except GreenletExit:
            raise
        except BaseException:  # Nameko would end the process for it
            log.exception("worker.failed")

    def _invoke(self, worker_ctx: Any, args: tuple[Any, ...]) -> Any:
        self._inject_dependencies(worker_ctx)
        self._worker_setup(worker_ctx)
        result = exc_info = None
        try:
            result = getattr(worker_ctx.service, worker_ctx.entrypoint.method_name)(*args)
        except BaseException:
            exc_info = sys.exc_info()
            raise
        finally:
            self._tear_down(worker_ctx, result, exc_info)
        return result

    def _tear_down(self, worker_ctx: Any, result: Any, exc_info: Any) -> None:
        try:
            self._worker_result(worker_ctx, result, exc_info)
            self._worker_teardown(worker_ctx)
        except Exception:  # the answer counts, not the cleaning
            log.exception("worker.teardown_failed")
