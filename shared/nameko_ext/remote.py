"""Lets a service call another one's methods by their contract, within the deadline of whoever called it."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from functools import cache
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace
from nameko.extensions import DependencyProvider

from shared.contracts import frames, known_refusals
from shared.contracts.method import Method
from shared.contracts.method import Request as ContractRequest
from shared.contracts.refusals import DeadlinePassed, Internal, OutcomeUnknown, Refusal, Unavailable
from shared.messaging.call import Call, current
from shared.metrics.counting import calling
from shared.metrics.outcomes import ABANDONED, ANSWERED, outcome_of
from shared.nameko_ext.asking import Asking
from shared.nameko_ext.failures import CallFailure, NotExecuted, Unreadable
from shared.nameko_ext.flight import Question
from shared.nameko_ext.tracing import asking
from shared.resilience.deadline import Deadline

log = structlog.get_logger()

PATIENCE = timedelta(seconds=5)
TELLING_SECONDS = 0.1
"""Between the end of our waiting and the deadline: whoever calls us waits as long, and would blame us for a silence."""


class RemoteService:
    """What a door holds of another service."""

    def __init__(self, service: str, asking: Asking) -> None:
        self._service = service
        self._asking = asking

    def call(
        self,
        method: Method,
        request: ContractRequest,
        *,
        operation_id: str | None = None,
        patience: timedelta = PATIENCE,
    ) -> Any:
        """The decoded answer.

        A change goes by ``operation_id``, else by one made of the call's own and the method; a handler of events, a
        clock and a read have none, and must name it: by the event's id, for instance, which comes again with the event
        (the request id would not do, see :func:`_onward`). That nobody names it is a :class:`TypeError`.
        Raises the refusal of the other service by its own class; :class:`Unavailable` when the call was surely not
        executed, :class:`OutcomeUnknown` when nobody knows, :class:`DeadlinePassed` when there is no time left.
        """
        counts = calling[method.service, method.name]
        began = time.perf_counter()
        outcome = ABANDONED
        try:
            answer = self._call(method, request, operation_id=operation_id, patience=patience)
            outcome = ANSWERED
        except Refusal as refusal:
            outcome = outcome_of(refusal.code)
            raise
        finally:
            counts.ended(outcome, time.perf_counter() - began)
        return answer

    def _call(self, method: Method, request: ContractRequest, *, operation_id: str | None, patience: timedelta) -> Any:
        call = current()
        if call.deadline is not None and call.deadline.has_passed():
            raise DeadlinePassed
        deadline = Deadline.after(patience)
        if call.deadline is not None:
            deadline = min(deadline, call.deadline)
        onward = _onward(call, method, request, operation_id=operation_id, deadline=deadline)
        with asking(onward, method) as span:
            question = Question(method, msgspec.json.encode(request), span.call, until=_end_of_waiting(deadline))
            try:
                reply = self._asking.ask(self._service, question)
            except CallFailure as failure:
                log.info(
                    "rpc.not_answered", method=method.routing_key, reason=failure.reason, blame=failure.blame.value
                )
                raise _told_of(failure) from failure
            return read_reply(reply, method)


class Remote(DependencyProvider):
    """Injects a :class:`RemoteService` for calls to ``service``."""

    asking = Asking()

    def __init__(self, service: str) -> None:
        self.service = service

    def get_dependency(self, worker_ctx: Any) -> RemoteService:
        """The same link for every call."""
        del worker_ctx
        return RemoteService(self.service, self.asking)


def read_reply(reply: frames.FramedReply, method: Method) -> Any:
    """The answer in the contract's type. Raises the refusal it carries; what makes no sense is :class:`Internal`."""
    try:
        error = msgspec.json.decode(reply.error)
        if error is None:
            return _decoder_of(method).decode(reply.result)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        log.error("rpc.answer_unreadable", method=method.routing_key, reason=str(fault)[:200])  # noqa: TRY400  # no trace
        raise Internal from fault
    if isinstance(error, dict) and known_refusals.is_refusal(error):
        raise known_refusals.from_wire(error)
    kind = error.get("exc_type") if isinstance(error, dict) else type(error).__name__
    log.error("rpc.remote_fault", method=method.routing_key, kind=str(kind)[:100])
    raise Internal


def fingerprint_of(request: ContractRequest) -> str:
    """SHA-256 of what is asked: the same operation id must mean the same request."""
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


@cache
def _decoder_of(method: Method) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(method.answer)


def _told_of(failure: CallFailure) -> Refusal:
    """A new one for each caller: many may have shared the failure."""
    match failure:
        case NotExecuted():
            return Unavailable(retry_after=failure.retry_after)
        case Unreadable():
            return Internal()
    return OutcomeUnknown()


def _end_of_waiting(deadline: Deadline) -> float:
    """As a moment of ``time.monotonic``; so early that who waits for us by the same deadline hears of it."""
    remaining = max(0.0, deadline.remaining().total_seconds())
    return time.monotonic() + max(remaining - TELLING_SECONDS, remaining / 2)


def _onward(
    call: Call, method: Method, request: ContractRequest, *, operation_id: str | None, deadline: Deadline
) -> Call:
    """Never under the request id: a client may stamp one on many requests, whose events would then count as one."""
    if operation_id is None and method.mutating:
        if call.operation_id is None:
            raise TypeError(f"{call.method} has no operation id of its own: it must give one to {method.routing_key}.")
        operation_id = f"{call.operation_id}/{method.routing_key}"
    return replace(
        call,
        deadline=deadline,
        operation_id=operation_id,
        fingerprint=fingerprint_of(request) if operation_id else None,
    )
