"""A clock that runs a method of a service again and again, and survives whatever the method does."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from eventlet import Timeout, sleep
from eventlet.event import Event
from eventlet.support.greenlets import GreenletExit
from nameko.exceptions import ContainerBeingKilled
from nameko.extensions import Entrypoint, register_entrypoint

from shared.contracts.refusals import Refusal
from shared.messaging.call import Call, serving
from shared.nameko_ext.container import Work
from shared.nameko_ext.context import bind_log_context, run_of
from shared.values.identifiers import new_id

log = structlog.get_logger()

LONGEST_TICK = timedelta(seconds=120)

Function = TypeVar("Function", bound=Callable[..., Any])


class TickTimedOut(Exception):
    """The tick was stopped."""


@contextmanager
def within(span: timedelta) -> Iterator[None]:
    """Stop what runs in the block when so much time is over. Raises :class:`TickTimedOut`."""
    with Timeout(span.total_seconds(), TickTimedOut()):
        yield


class Ticker(Entrypoint):
    """``@Ticker(seconds=5)``: the pause between the end of one run and the start of the next, with a little jitter.

    A run is stopped after ``longest``. With ``None`` it sees to its end itself, by :func:`within`.
    """

    def __init__(self, *, seconds: float, longest: timedelta | None = LONGEST_TICK) -> None:
        super().__init__()
        self.seconds = seconds
        self.longest = longest
        self._loop: Any = None

    def __call__(self, function: Function) -> Function:
        """Register the function."""
        register_entrypoint(function, self)
        return function

    def start(self) -> None:
        """Begin to tick."""
        self._loop = self.container.spawn_managed_thread(self._tick_for_ever, identifier=f"tick {self.method_name}")

    def stop(self) -> None:
        """Tick no more; a tick that runs is waited for by the container."""
        if self._loop is not None:
            self._loop.kill()

    def _tick_for_ever(self) -> None:
        while True:
            sleep(self.seconds * random.uniform(0.9, 1.1))  # noqa: S311  # jitter, not a secret
            tick = Tick(f"{self.container.service_name}.{self.method_name}", longest=self.longest)
            try:
                self.container.admit(self, tick)
            except ContainerBeingKilled:
                return
            tick.done.wait()


class Tick(Work):
    """One run."""

    is_asked_for = False

    def __init__(self, method: str, *, longest: timedelta | None = LONGEST_TICK) -> None:
        self._call = Call(request_id=new_id(), method=method)
        self._limit = nullcontext() if longest is None else within(longest)
        self.done = Event()

    def run(self, worker_ctx: Any, invoke: Callable[..., Any]) -> None:
        """Run the method and log what it does wrong."""
        del worker_ctx
        call = run_of(self._call, is_tick=True)
        bind_log_context(call)
        try:
            with serving(call), self._limit:
                invoke()
        except Refusal as refusal:
            log.info("tick.refused", method=self._call.method, code=refusal.code)
        except GreenletExit:
            raise
        except BaseException:  # the next tick may well succeed
            log.exception("tick.failed", method=self._call.method)
        finally:
            self.done.send(None)
