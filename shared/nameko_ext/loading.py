"""Makes one question of many: single reads that meet within a service leave together, and each gets its own answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import structlog
from eventlet import Timeout
from nameko.extensions import DependencyProvider
from sqlalchemy.orm import Session

from shared.contracts.refusals import DeadlinePassed, Internal, Refusal, Unavailable
from shared.messaging.call import Call, current, serving
from shared.nameko_ext.coalescer import Coalescer
from shared.nameko_ext.context import bind_log_context
from shared.nameko_ext.database import Database
from shared.nameko_ext.tracing import together
from shared.resilience.coalescing import CoalescingPolicy, Expired, NeverLeft, Sending, Unanswered
from shared.resilience.deadline import Deadline

log = structlog.get_logger()

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Wish(NamedTuple, Generic[Key]):
    """A key, and the call that waits for it."""

    key: Key
    call: Call


Load = Callable[[Sequence[Key]], Mapping[Key, Value | Exception]]
"""Gives what there is of these keys, each of which comes once. An exception is the fate of its key alone."""

AT_ONCE = CoalescingPolicy(batches=2, batch_size=100)
"""While one batch is being read, the one before may still be told to those who wait for it."""

GRACE_SECONDS = 0.5  # what is asked gives up at the deadline, and must have time to say so
DRAIN_SECONDS = 2.0


class Loader(Generic[Key, Value]):
    """Whoever asks for the same at the same time shares an answer, which is never older than the question.

    ``load`` runs under the request of the first who waits for it, for no user, with the latest deadline of them all.
    What it gives is shared: it should be rows that everybody reads for himself, so that one that cannot be read is one
    caller's trouble.
    """

    def __init__(self, load: Load[Key, Value], *, policy: CoalescingPolicy = AT_ONCE) -> None:
        self._load = load
        self._coalescer: Coalescer[Wish[Key], Value | None] = Coalescer(self._send, policy=policy)

    def get(self, key: Key) -> Value | None:
        """What there is of ``key``, if anything.

        Raises what ``load`` raised or gave for it, :class:`DeadlinePassed`, and :class:`Unavailable` when there is no
        answer to be had. Faults that are no refusals are logged once and are :class:`Internal` to all who waited.
        """
        call = current()
        deadline = call.deadline
        until = None if deadline is None else time.monotonic() + deadline.remaining().total_seconds()
        try:
            return self._coalescer.submit(Wish(key, call), key=key, deadline=until)
        except Expired as late:
            raise DeadlinePassed from late
        except (NeverLeft, Unanswered) as fault:
            if deadline is not None and deadline.has_passed():
                raise DeadlinePassed from fault
            raise Unavailable(retry_after=1) from fault
        except Refusal as shared:
            raise copy(shared) from shared  # others raise it too, each with a trace of its own

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """How often so many keys were asked for together."""
        return self._coalescer.machine.batch_sizes

    def close(self) -> None:
        """Let those who wait have their answers, and take no more."""
        self._coalescer.close(drain=DRAIN_SECONDS)

    def _send(self, sending: Sending[Wish[Key], Value | None]) -> None:
        wanted = [errand for errand in sending.errands if errand.is_wanted]
        if not wanted:
            return
        remaining = None if sending.deadline is None else max(0.0, sending.deadline - time.monotonic())
        call = _first_of(wanted[0].item.call, remaining)
        bind_log_context(call)
        keys = [errand.item.key for errand in wanted]
        with serving(call), together([waiter.item.call for errand in wanted for waiter in errand.waiters]):
            found = self._found(keys, remaining)
        for errand in wanted:
            value = found.get(errand.item.key)
            if isinstance(value, Exception):
                sending.fail(errand, value)
            else:
                sending.answer(errand, value)

    def _found(self, keys: Sequence[Key], remaining: float | None) -> Mapping[Key, Value | Exception]:
        try:
            with Timeout(None if remaining is None else remaining + GRACE_SECONDS, DeadlinePassed()):
                return self._load(keys)
        except Refusal:
            raise
        except Exception as fault:
            log.exception("loading.failed", keys=len(keys))
            raise Internal from fault


@runtime_checkable
class HasLoaders(Protocol):
    """A dependency whose loaders are to be seen in the metrics."""

    loaders: Mapping[str, Loader[Any, Any]]
    """By a name that is unique in the service."""


class Loaded(DependencyProvider):
    """Injects a function from a key to what ``read`` finds of it in the service's database, or ``None``.

    ``read`` is given a session that cannot write and the keys that met. See :class:`Loader`.
    """

    database = Database()

    def __init__(self, read: Callable[[Session, Sequence[Any]], Mapping[Any, Any]]) -> None:
        self.read = read

    def setup(self) -> None:
        """One loader for all calls."""
        self._loader: Loader[Any, Any] = Loader(self._load)
        self.loaders = {self.attr_name: self._loader}

    def stop(self) -> None:
        """No call waits any more."""
        self._loader.close()

    def get_dependency(self, worker_ctx: Any) -> Callable[[Any], Any]:
        """The same for every call."""
        del worker_ctx
        return self._loader.get

    def _load(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        with self.database.scope.reading() as session:
            return self.read(session, keys)


def _first_of(call: Call, remaining: float | None) -> Call:
    """What is read for many is read for nobody in particular; but it can be found by the request of the first."""
    return Call(
        request_id=call.request_id,
        method=call.method,
        deadline=None if remaining is None else Deadline.after(timedelta(seconds=remaining)),
        traceparent=call.traceparent,
        tracestate=call.tracestate,
        span=call.span,
        call_id_stack=call.call_id_stack,
    )
