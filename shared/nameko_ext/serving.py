"""Serves one call from pick-up to acknowledgement: deadline, work, reply, ack, and one line in the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from eventlet import Timeout
from eventlet.support.greenlets import GreenletExit

from shared.contracts import headers
from shared.contracts.refusals import DeadlinePassed, Internal, OutcomeUnknown, Refusal, Unavailable
from shared.messaging.call import Call, serving
from shared.nameko_ext import wire
from shared.nameko_ext.context import bind_log_context

if TYPE_CHECKING:
    from shared.nameko_ext.consuming import Delivery
    from shared.nameko_ext.requests import Requests

log = structlog.get_logger()

GRACE = timedelta(milliseconds=500)  # the database gives up at the deadline and must have time to say so
LONGEST_CALL = timedelta(seconds=300)  # of a call without a deadline, such as an operator's


class WorkTimedOut(Exception):
    """The work was stopped: its deadline passed a while ago."""


@dataclass(frozen=True)
class Asked:
    """What is to be done: the call and its arguments by field name."""

    call: Call
    fields: Mapping[str, Any]


class Job:
    """One request in our hands. ``delivery`` changes when the broker redelivers it while it runs."""

    def __init__(
        self, requests: Requests, door: Any, delivery: Delivery, address: wire.ReplyAddress, asked: Asked
    ) -> None:
        self.door = door
        self.delivery = delivery
        self.address = address
        self._requests = requests
        self._call = asked.call
        self._fields = asked.fields
        self._given_back = False

    def context_data(self) -> dict[str, Any]:
        """What Nameko's own extensions may want to know."""
        call = self._call
        context = {"request_id": call.request_id, "user_id": call.user_id, "traceparent": call.traceparent}
        known = {name: value for name, value in context.items() if value is not None}
        return {**known, headers.CALL_ID_STACK: list(call.call_id_stack)}

    def give_back(self) -> None:
        """Not started: another replica may have it."""
        self._given_back = True
        self.delivery.requeue()

    def run(self, worker_ctx: Any, invoke: Callable[..., Any]) -> None:
        """Serve it, unless it was given back while it waited."""
        if self._given_back:
            return
        self._requests.started(self)
        try:
            call = replace(self._call, call_id_stack=tuple(worker_ctx.call_id_stack))
            bind_log_context(call)
            with serving(call):
                self._serve(call, invoke)
        finally:
            self._requests.finished(self)

    def _serve(self, call: Call, invoke: Callable[..., Any]) -> None:
        started = time.perf_counter_ns()
        body, code = self._answer(call, invoke)
        self._requests.broker.replies.send(self.address, body, replayed=call.marks.replayed)
        self.delivery.ack()
        log.info(
            "rpc.call",
            method=call.method,
            code=code,
            redelivered=call.redelivered,
            **{
                "event.duration": time.perf_counter_ns() - started,
                "event.outcome": "failure" if code else "success",
            },
        )

    def _answer(self, call: Call, invoke: Callable[..., Any]) -> tuple[bytes, str | None]:
        """The reply's body, and the code if it is no answer."""
        try:
            if call.deadline is not None and call.deadline.has_passed():
                raise DeadlinePassed  # noqa: TRY301  # one place turns refusals into replies
            with Timeout(_allowed(call).total_seconds(), WorkTimedOut()):
                return wire.answer_body(self.door.work(self._fields, invoke)), None
        except Refusal as refusal:
            known = self._as_far_as_known(call, refusal)
            return wire.refusal_body(known), known.code
        except GreenletExit:
            raise
        except WorkTimedOut:
            log.warning("rpc.timed_out", method=call.method)
            return wire.refusal_body(OutcomeUnknown()), OutcomeUnknown.code
        except BaseException:  # a bare Timeout or SystemExit is a fault of one call, not of the service
            log.exception("rpc.failed", method=call.method)
            return wire.refusal_body(Internal()), Internal.code

    def _as_far_as_known(self, call: Call, refusal: Refusal) -> Refusal:
        """This run changed nothing, but of a call that comes a second time an earlier run may have done it all."""
        if call.redelivered and self.door.method.mutating and isinstance(refusal, (Unavailable, DeadlinePassed)):
            return OutcomeUnknown()
        return refusal


def _allowed(call: Call) -> timedelta:
    if call.deadline is None:
        return LONGEST_CALL
    return max(call.deadline.remaining(), timedelta()) + GRACE
