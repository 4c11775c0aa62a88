"""Stands before the client, one post per service: a breaker for who fails, a bulkhead for who is slow."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import structlog

from edge.rpc.bulkhead import Bulkhead
from edge.rpc.failures import Blame, CallFailure, NotExecuted, RemoteRefusal
from shared.metrics.counting import calling
from shared.metrics.outcomes import ABANDONED, ANSWERED, NOT_EXECUTED, UNKNOWN, outcome_of
from shared.resilience.breaker import Breaker, BreakerPolicy, BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge.rpc.calls import CallContext, Rpc, RpcReply
    from shared.contracts.method import Method

log = structlog.get_logger()

IN_FLIGHT = 512
WAITING = 2048
LONGEST_WAIT = 2.0


class Post:
    """What guards one service."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self.breaker = Breaker(policy)
        self.bulkhead = Bulkhead(limit=IN_FLIGHT, queue=WAITING)


class Guard:
    """An ``Rpc`` that refuses calls which would only wait for a service that does not answer.

    Only a service's own faults count: its refusals are answers, and neither the broker's faults, nor our own shedding,
    nor callers who go away say anything about it.
    """

    def __init__(
        self,
        rpc: Rpc,
        services: Iterable[str],
        *,
        policy: BreakerPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rpc = rpc
        self._clock = clock
        self._policy = policy or BreakerPolicy()
        self._posts = {service: Post(self._policy) for service in services}

    async def call(self, method: Method, arguments: dict[str, Any], *, context: CallContext) -> RpcReply:
        """Call through the guard. Raises what the client raises, and ``NotExecuted`` when it is refused here."""
        counts = calling[method.service, method.name]
        began = time.perf_counter()
        outcome = ABANDONED
        try:
            reply = await self._guarded(method, arguments, context)
            outcome = ANSWERED
        except RemoteRefusal as refusal:
            outcome = outcome_of(refusal.code)
            raise
        except NotExecuted:
            outcome = NOT_EXECUTED
            raise
        except CallFailure:
            outcome = UNKNOWN
            raise
        finally:
            counts.ended(outcome, time.perf_counter() - began)
        return reply

    async def _guarded(self, method: Method, arguments: dict[str, Any], context: CallContext) -> RpcReply:
        post = self._post(method.service)
        if post.breaker.state(self._clock()) is BreakerState.OPEN:
            raise self._refused(post)
        if not post.bulkhead.try_enter():
            await post.bulkhead.enter(patience=min(LONGEST_WAIT, max(0.0, context.deadline.remaining() / 2)))
        try:
            return await self._call(post, method, arguments, context)
        finally:
            post.bulkhead.leave()

    def wake(self, service: str) -> None:
        """The service was seen alive: probe it now, if its breaker is open."""
        self._post(service).breaker.wake()

    def states(self) -> dict[str, dict[str, Any]]:
        """Per service: the breaker's state, calls in flight and calls waiting."""
        now = self._clock()
        return {
            service: {
                "breaker": post.breaker.state(now).value,
                "in_flight": post.bulkhead.in_flight,
                "waiting": post.bulkhead.waiting,
            }
            for service, post in self._posts.items()
        }

    async def _call(self, post: Post, method: Method, arguments: dict[str, Any], context: CallContext) -> RpcReply:
        before = post.breaker.state(self._clock())
        permit = post.breaker.admit(self._clock())
        if permit is None:
            raise self._refused(post)
        try:
            reply = await self._rpc.call(method, arguments, context=context)
        except RemoteRefusal:
            post.breaker.succeeded(permit)
            raise
        except CallFailure as failure:
            if failure.blame is Blame.SERVICE:
                post.breaker.failed(permit, self._clock())
            else:
                post.breaker.abandoned(permit)
            raise
        except BaseException:
            post.breaker.abandoned(permit)
            raise
        else:
            post.breaker.succeeded(permit)
            return reply
        finally:
            self._report(method.service, before, post.breaker.state(self._clock()))

    def _post(self, service: str) -> Post:
        post = self._posts.get(service)
        if post is None:
            post = self._posts[service] = Post(self._policy)
        return post

    def _refused(self, post: Post) -> NotExecuted:
        return NotExecuted("the breaker is open", max(1, math.ceil(post.breaker.retry_after(self._clock()))))

    def _report(self, service: str, before: BreakerState, after: BreakerState) -> None:
        if before is not after:
            log.warning("rpc.breaker.changed", guarded=service, before=before.value, after=after.value)
