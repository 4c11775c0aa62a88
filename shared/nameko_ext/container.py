"""Nameko's container, with the ways closed in which one worker could take the service down, and a queue for work."""

from __future__ import annotations

import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count
from typing import Any

import structlog
from eventlet import Timeout, sleep
from eventlet.hubs import get_hub
from eventlet.support.greenlets import GreenletExit
from nameko.containers import ServiceContainer as NamekoContainer
from nameko.containers import WorkerContext
from nameko.exceptions import ContainerBeingKilled

log = structlog.get_logger()

DRAIN_SECONDS = 20.0
WORK_PER_TURN = 32
PARENTS_TRACKED = 10  # Nameko's default


class Work(ABC):
    """What an entrypoint hands to the container in place of Nameko's ``handle_result``."""

    is_asked_for = True
    """Whether somebody wants it done; a clock runs for ever, and may be stopped at any moment."""

    def context_data(self) -> dict[str, Any]:
        """What Nameko's own extensions may want to know."""
        return {}

    def taken(self) -> None:  # noqa: B027  # most need not know
        """It waits no longer. :meth:`run` follows, though others may have their turn before."""

    @abstractmethod
    def run(self, worker_ctx: Any, invoke: Callable[..., Any]) -> None:
        """Do everything; ``invoke(*args)`` runs the service's method."""


class Context(WorkerContext):
    """Nameko's context of a call, whose id costs a count instead of a random number and a look into a configuration."""

    _process = uuid.uuid4().hex
    _numbers = count(1)

    def _make_call_id(self) -> str:
        return f"{self.service_name}.{self.entrypoint.method_name}.{self._process}-{next(self._numbers)}"

    def _make_call_id_stack(self) -> list[str]:
        return [*self._parent_call_id_stack[-PARENTS_TRACKED:], self.call_id]


class ServiceContainer(NamekoContainer):
    """A worker that fails in any way is logged, never fatal; stopping waits for running workers, but not for ever.

    Work waits in order of arrival, and a worker that is done takes the next in hand itself. Of work that comes in one
    turn of the hub only the first gets a worker at once, the rest when that one has to wait for something: what waits
    for nothing needs no worker of its own.
    """

    def __init__(self, service_cls: type) -> None:
        super().__init__(service_cls)
        self._waiting: dict[Work, Any] = {}  # an ordered set of work, each with its entrypoint
        self._is_hiring = False
        self._yielding = 0
        self._in_hand = 0

    @property
    def unfinished(self) -> int:
        """Work that was asked for and is not done: in hand, or waiting."""
        return self._in_hand + sum(work.is_asked_for for work in self._waiting)

    @property
    def in_hand(self) -> int:
        """Work that was asked for and that a worker has: calls and events, no clocks."""
        return self._in_hand

    @property
    def running(self) -> int:
        """Workers at work."""
        return len(self._worker_threads)

    @property
    def waiting(self) -> int:
        """Work that no worker has taken up."""
        return len(self._waiting)

    def admit(self, entrypoint: Any, work: Work) -> None:
        """Have the work done, now or as soon as a worker is free. Raises ``ContainerBeingKilled``; never blocks."""
        if self._being_killed:
            raise ContainerBeingKilled
        self._waiting[work] = entrypoint
        if not self._is_hiring and self._worker_pool.free() > 0:
            self._is_hiring = True
            try:
                self._hire()
            finally:
                get_hub().schedule_call_global(0, self._hire_all)

    def waiting_for(self, entrypoint: Any) -> list[Any]:
        """The work of this entrypoint that no worker has taken up, in order of arrival."""
        return [work for work, its_entrypoint in self._waiting.items() if its_entrypoint is entrypoint]

    def withdraw(self, work: Work) -> None:
        """Forget work that waits: it will not be run."""
        self._waiting.pop(work, None)

    def stop(self) -> None:
        """Drain, then leave. What still runs after :data:`DRAIN_SECONDS` is given up; the broker redelivers it."""
        with Timeout(DRAIN_SECONDS, exception=False):
            super().stop()
            return
        log.warning("service.drain_gave_up", workers=len(self._worker_threads), waiting=len(self._waiting))
        self._waiting.clear()
        self.kill()

    def _hire_all(self) -> None:
        """Whatever still waits when those who work wait, too, needs more of them. Runs in the hub."""
        if self._yielding:
            get_hub().schedule_call_global(0, self._hire_all)
            return
        self._is_hiring = False
        for _ in range(min(len(self._waiting), self._worker_pool.free())):
            self._hire()

    def _hire(self) -> None:
        context, work = self._take()
        worker = self._worker_pool.spawn(self._run_worker, context, work)
        worker.link(self._handle_worker_thread_exited, context)
        self._worker_threads[context] = worker

    def _take(self) -> tuple[Context, Work]:
        work = next(iter(self._waiting))
        entrypoint = self._waiting.pop(work)
        self._in_hand += work.is_asked_for
        work.taken()
        return Context(self, self.service_cls(), entrypoint, (), {}, data=work.context_data()), work

    def _run_worker(self, worker_ctx: Any, handle_result: Any) -> None:
        if isinstance(handle_result, Work):
            self._do(worker_ctx, handle_result)
        else:
            self._run_stock(worker_ctx, handle_result)
        done = 1
        while self._waiting and not self._being_killed:
            if done % WORK_PER_TURN == 0:
                self._yield()
                if not self._waiting:
                    return
            self._do(*self._take())
            done += 1

    def _run_stock(self, worker_ctx: Any, handle_result: Any) -> None:
        """Work of an entrypoint of Nameko's own."""
        self._in_hand += 1
        try:
            super()._run_worker(worker_ctx, handle_result)
        finally:
            self._in_hand -= 1

    def _yield(self) -> None:
        """Let others read, write and run. That is no reason to hire."""
        self._yielding += 1
        try:
            sleep(0)
        finally:
            self._yielding -= 1

    def _do(self, worker_ctx: Any, work: Work) -> None:
        try:
            work.run(worker_ctx, lambda *args: self._invoke(worker_ctx, args))
        except GreenletExit:
            raise
        except BaseException:  # Nameko would end the process for it
            log.exception("worker.failed")
        finally:
            self._in_hand -= work.is_asked_for

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
