"""Stands before the client, one post per service: breakers for who fails, a bulkhead for who is slow."""

from __future__ import annotations

import math
import random
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from edge.rpc.failures import CallFailure, NotExecuted, RemoteRefusal
from edge.rpc.post import Post, fair_ending, unfair_ending
from shared.metrics.counting import calling
from shared.metrics.outcomes import ABANDONED, ANSWERED, NOT_EXECUTED, UNKNOWN, outcome_of
from shared.resilience.breaker import LOST_TOGETHER, BreakerPolicy, BreakerState
from shared.resilience.deadline import FAIR_SECONDS
from shared.resilience.presence import NOBODY_LISTENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edge.rpc.calls import CallContext, Rpc, RpcReply
    from shared.contracts.method import Method
    from shared.resilience.circuit import Attempt, Judge

log = structlog.get_logger()

LONGEST_WAIT = 2.0
VERDICT_SECONDS = 0.1
"""So long a call waits for the verdict of the probe that is out, rather than be refused in that very moment."""


class Guard:
    """An ``Rpc`` that refuses calls which would only wait for a service, or a method, that does not answer.

    Only a service's own faults count: its refusals are answers, and neither the broker's faults, nor our own shedding,
    nor callers who go away or come too late say anything about it.
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
        self._policy = replace(policy or BreakerPolicy(), together=LOST_TOGETHER)
        self._dice = random.SystemRandom()
        self._posts: dict[str, Post] = {}
        self._is_alive: dict[str, bool] = {}
        for service in services:
            self._post(service)

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
        except NotExecuted as failure:
            outcome = NOT_EXECUTED
            _tell_unanswered(method, failure)
            raise
        except CallFailure as failure:
            outcome = UNKNOWN
            _tell_unanswered(method, failure)
            raise
        finally:
            counts.ended(outcome, time.perf_counter() - began)
        return reply

    async def _guarded(self, method: Method, arguments: dict[str, Any], context: CallContext) -> RpcReply:
        post, name = self._post(method.service), method.name
        if not post.bulkhead.try_enter(name):
            await _queue(post, name, context)
        try:
            judge = fair_ending if context.deadline.remaining() >= FAIR_SECONDS else unfair_ending
            with post.circuit.attempt(name, judge) or await _probing(post, name, judge, context):
                return await self._rpc.call(method, arguments, context=context)
        finally:
            post.bulkhead.leave(name)

    def wake(self, service: str) -> None:
        """Somebody listens, or nobody knows any more.

        Who was merely away has failed at nothing, and is called like before; what failures have opened is probed now.
        """
        self._post(service).circuit.back()

    def lost(self, service: str) -> None:
        """Nobody listens: refuse every call until :meth:`wake`."""
        self._post(service).circuit.gone(NOBODY_LISTENS)

    def listed(self, service: str, *, alive: int, proven: int) -> None:
        """What Consul says of the service's instances; only a change counts, so that a wrong word is soon outlived.

        ``alive`` are those that take calls, even with their database away: then they say so themselves. ``proven`` are
        those listed that are alive or were before. Instances that left the list, or have never passed yet, say
        nothing here: when replicas are replaced in turn, the last old one leaves before the new one has passed. Whether
        anybody listens the broker knows better, and a Consul that lost its memory must not stop the shop.
        """
        if alive:
            if self._is_alive.get(service) is False:
                self._post(service).circuit.wake()
            self._is_alive[service] = True
        elif proven and self._is_alive.get(service):
            self._is_alive[service] = False
            self._post(service).circuit.trip("Consul knows no instance that is alive")

    def heard(self, method: Method) -> None:
        """An answer came that nobody waited for any more: the service lives."""
        self._post(method.service).circuit.heard(method.name)

    def rule(self, rulings: Mapping[str, Mapping[str, BreakerState]]) -> None:
        """Hold breakers open or closed, by service and method; all that are not named decide for themselves."""
        for service, post in self._posts.items():
            post.circuit.rule(rulings.get(service, {}))

    def states(self) -> dict[str, dict[str, Any]]:
        """Per service and per method: the breaker, calls in flight and waiting. All that a page can show of it."""
        return {service: post.state() for service, post in self._posts.items()}

    def _post(self, service: str) -> Post:
        post = self._posts.get(service)
        if post is None:
            moved = partial(_report, service)
            post = self._posts[service] = Post(self._policy, clock=self._clock, dice=self._dice, on_move=moved)
        return post


async def _queue(post: Post, method: str, context: CallContext) -> None:
    """Wait for a place. Raises ``NotExecuted`` when it comes to nothing, and at once when the breaker is open."""
    if post.circuit.state(method) is BreakerState.OPEN:
        raise _refused(post, method)
    await post.bulkhead.enter(method, patience=min(LONGEST_WAIT, max(0.0, context.deadline.remaining() / 2)))


async def _probing(post: Post, method: str, judge: Judge, context: CallContext) -> Attempt:
    """Wait for a verdict, if a probe is out. Raises ``NotExecuted`` when there is no way through."""
    if post.circuit.state(method) is BreakerState.HALF_OPEN:
        await post.verdict(min(VERDICT_SECONDS, max(0.0, context.deadline.remaining() / 2)))
        if (attempt := post.circuit.attempt(method, judge)) is not None:
            return attempt
    raise _refused(post, method)


def _refused(post: Post, method: str) -> NotExecuted:
    reason = post.circuit.reason(method) or "an operator holds it open"
    return NotExecuted(f"the breaker is open: {reason}", max(1, math.ceil(post.circuit.retry_after(method))))


def _tell_unanswered(method: Method, failure: CallFailure) -> None:
    """One line where a call ends that has none in the service."""
    log.warning("rpc.not_answered", method=method.routing_key, reason=failure.reason, blame=failure.blame.value)


def _report(service: str, method: str, state: BreakerState, reason: str) -> None:
    log.warning("rpc.breaker.changed", guarded=service, method=method or "all", after=state.value, reason=reason)
