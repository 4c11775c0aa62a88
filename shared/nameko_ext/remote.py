"""Lets a service call another one's methods by their contract, within the deadline of whoever called it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import orjson
import structlog
from nameko.extensions import DependencyProvider

from shared.contracts import known_refusals
from shared.contracts.method import Method
from shared.contracts.method import Request as ContractRequest
from shared.contracts.refusals import DeadlinePassed, Internal
from shared.messaging.call import Call, current
from shared.nameko_ext import wire
from shared.nameko_ext.asking import Asking, Request
from shared.resilience.deadline import Deadline

log = structlog.get_logger()

PATIENCE = timedelta(seconds=5)


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

        Raises the refusal of the other service by its own class; :class:`Unavailable` when the call was surely not
        executed, :class:`OutcomeUnknown` when nobody knows, :class:`DeadlinePassed` when there is no time left.
        """
        call = current()
        if call.deadline is not None and call.deadline.has_passed():
            raise DeadlinePassed
        onward = _onward(call, method, request, operation_id=operation_id, patience=patience)
        body = self._asking.ask(
            Request(
                routing_key=f"{self._service}.{method.name}",
                body=msgspec.json.encode({"args": [], "kwargs": msgspec.to_builtins(request)}),
                headers=wire.write_call(onward),
                deadline=onward.deadline or Deadline.after(patience),
            )
        )
        return read_reply(body, method)


class Remote(DependencyProvider):
    """Injects a :class:`RemoteService` for calls to ``service``."""

    asking = Asking()

    def __init__(self, service: str) -> None:
        self.service = service

    def get_dependency(self, worker_ctx: Any) -> RemoteService:
        """The same link for every call."""
        del worker_ctx
        return RemoteService(self.service, self.asking)


def read_reply(body: bytes, method: Method) -> Any:
    """The answer in the contract's type. Raises the refusal it carries; what makes no sense is :class:`Internal`."""
    try:
        reply = orjson.loads(body)
        error, result = reply["error"], reply["result"]
        if error is None:
            return msgspec.convert(result, method.answer)
    except (orjson.JSONDecodeError, KeyError, TypeError, msgspec.ValidationError) as fault:
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


def _onward(
    call: Call, method: Method, request: ContractRequest, *, operation_id: str | None, patience: timedelta
) -> Call:
    deadline = Deadline.after(patience)
    if call.deadline is not None:
        deadline = min(deadline, call.deadline)
    if operation_id is None and method.mutating:
        operation_id = f"{call.operation_id or f'request/{call.request_id}'}/{method.routing_key}"
    return replace(
        call,
        deadline=deadline,
        operation_id=operation_id,
        fingerprint=fingerprint_of(request) if operation_id else None,
    )
