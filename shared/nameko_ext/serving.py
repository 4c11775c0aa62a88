"""Serves one call from pick-up to answer: deadline, work, reply, and one line in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from eventlet.support.greenlets import GreenletExit
from nameko.exceptions import BadRequest

from shared.contracts import headers
from shared.contracts.refusals import (
    CODES_OF_NO_ANSWER,
    DeadlinePassed,
    Internal,
    OutcomeUnknown,
    Refusal,
    StillRunning,
    Unavailable,
)
from shared.messaging.call import Call, serving
from shared.metrics.counting import running
from shared.metrics.outcomes import outcome_of
from shared.nameko_ext import outcomes, tracing
from shared.nameko_ext.clocks import Clocks
from shared.nameko_ext.container import Work
from shared.nameko_ext.context import bind_log_context, run_of
from shared.nameko_ext.outcomes import Outcome
from shared.nameko_ext.overdue import Overdue, WorkTimedOut
from shared.nameko_ext.reasons import reason_of
from shared.tracing import recording

if TYPE_CHECKING:
    from shared.nameko_ext.requests import Requests
    from shared.nameko_ext.sources import Source

log = structlog.get_logger()

GRACE_SECONDS = 0.5  # the database gives up at the deadline and must have time to say so
LONGEST_CALL_SECONDS = 300.0  # of a call without a deadline, such as an operator's

NOT_DONE_BY_THIS_RUN = (Unavailable, DeadlinePassed, StillRunning)

_overdue = Overdue()
_clocks = Clocks()


class Job(Work):
    """One call in our hands, with every message that brought it: a redelivery joins the run that it meets."""

    def __init__(
        self, requests: Requests, door: Any, source: Source, call: Call, read_request: Callable[[], Any]
    ) -> None:
        self.door = door
        self.key = source.key
        self._sources = [source]
        self._requests = requests
        self._call = call
        self._read_request = read_request
        self._arrived_ns = time.perf_counter_ns()
        self._is_taken = False
        self._is_redelivered = call.redelivered

    def join(self, source: Source) -> None:
        """The broker brought it again while it waits or runs: it is run once and answered here, too."""
        self._sources.append(source)
        self._is_redelivered = True
        if self._is_taken:
            source.hold()

    def taken(self) -> None:
        """From now on no message that brought it is given back, with or without others in its frame."""
        self._is_taken = True
        for source in self._sources:
            source.hold()

    def give_back(self) -> bool:
        """Let another replica have it; gives whether that is so, or it must be finished here."""
        return all(source.give_back() for source in self._sources if not source.is_lost)

    def context_data(self) -> dict[str, Any]:
        """What Nameko's own extensions may want to know."""
        call = self._call
        context = {"request_id": call.request_id, "user_id": call.user_id, "traceparent": call.traceparent}
        known: dict[str, Any] = {name: value for name, value in context.items() if value is not None}
        known[headers.CALL_ID_STACK] = list(call.call_id_stack)
        return known

    def run(self, worker_ctx: Any, invoke: Callable[..., Any]) -> None:
        """Serve it, unless the broker took it back, or its caller could be told a falsehood about it."""
        try:
            if not self._begin():
                log.info("rpc.not_begun", method=self._call.method, **{"http.request.id": self._call.request_id})
                return
            call = run_of(self._call, worker_ctx.call_id_stack)
            bind_log_context(call)
            with serving(call):
                self._serve(call, invoke)
        finally:
            self._requests.finished(self)

    def _begin(self) -> bool:
        deadline = self._call.deadline
        is_over = deadline is not None and deadline.has_passed()  # then nothing is changed, and none need be told of it
        changing = self.door.method.mutating and not is_over
        return any(not source.is_lost and source.begin(changing=changing) for source in self._sources)

    def _serve(self, call: Call, invoke: Callable[..., Any]) -> None:
        started_ns = time.perf_counter_ns()
        queued_ns = self._queued_ns(call, started_ns)
        outcome = self._outcome(call, invoke)
        ended_ns = time.perf_counter_ns()
        counts = running[self.door.method.service, self.door.method.name]
        counts.queued(queued_ns / 1e9)
        counts.ended(outcome_of(outcome.code), (ended_ns - started_ns) / 1e9)
        self._answer(outcome, replayed=call.marks.replayed)
        if recording.active is not None:
            tracing.ran(call, outcome.code, started_ns)
        log.info(
            "rpc.call",
            method=call.method,
            code=outcome.code,
            reason=outcome.reason,
            redelivered=self._is_redelivered,
            batch_size=self._sources[0].batch_size,
            queue_ns=queued_ns,
            **{
                "event.duration": time.perf_counter_ns() - started_ns,
                "event.outcome": "failure" if outcome.code else "success",
            },
        )

    def _answer(self, outcome: Outcome, *, replayed: bool) -> None:
        """Whoever has the call now may fare better than a run that could not: its caller waits for that one then."""
        ours = [source for source in self._sources if not source.is_lost]
        if not ours and outcome.code not in CODES_OF_NO_ANSWER:
            ours = self._sources[-1:]
        for source in ours:
            source.answer(outcome, replayed=replayed)

    def _queued_ns(self, call: Call, started_ns: int) -> int:
        """How long it waited for a worker: since its caller sent it, if clocks agree, else since it arrived here."""
        here = started_ns - self._arrived_ns
        if call.sent_at_ms is None:
            return here
        now_ns, sent_ns = time.time_ns(), call.sent_at_ms * 1_000_000
        _clocks.compare(call.method, sent_ns=sent_ns, came_ns=now_ns - here)
        return max(here, now_ns - sent_ns)

    def _outcome(self, call: Call, invoke: Callable[..., Any]) -> Outcome:
        try:
            if call.deadline is not None and call.deadline.has_passed():
                raise DeadlinePassed  # noqa: TRY301  # one place turns refusals into outcomes
            with _overdue.stopping(_allowed_seconds(call)):
                return outcomes.answered(invoke(self._read_request()))
        except Refusal as refusal:
            return outcomes.refused(self._as_far_as_known(refusal))._replace(reason=reason_of(refusal))
        except BadRequest as fault:
            return outcomes.stock_fault(fault)
        except GreenletExit:
            raise
        except WorkTimedOut:
            log.warning("rpc.timed_out", method=call.method)
            return outcomes.refused(OutcomeUnknown())
        except BaseException:  # a bare Timeout or SystemExit is a fault of one call, not of the service
            log.exception("rpc.failed", method=call.method)
            return outcomes.refused(Internal())

    def _as_far_as_known(self, refusal: Refusal) -> Refusal:
        """This run changed nothing, but of a call that comes a second time an earlier run may have done it all."""
        if self._is_redelivered and self.door.method.mutating and isinstance(refusal, NOT_DONE_BY_THIS_RUN):
            return OutcomeUnknown()
        return refusal


def _allowed_seconds(call: Call) -> float:
    if call.deadline is None:
        return LONGEST_CALL_SECONDS
    return max(0.0, call.deadline.remaining_seconds()) + GRACE_SECONDS
