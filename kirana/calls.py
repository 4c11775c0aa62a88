"""Lets the operator's commands call the services over AMQP as any Nameko client does, without Nameko or eventlet."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
import orjson
from amqp.exceptions import AMQPError, MessageNacked
from kombu import connection as kombu_connection
from kombu.exceptions import OperationalError

from shared.contracts import exchanges, headers, known_refusals
from shared.contracts.method import Method, Request
from shared.contracts.refusals import OutcomeUnknown, Unavailable
from shared.values.identifiers import new_id

_Connection: Any = kombu_connection.Connection  # kombu is typed in parts only
_BROKEN = (OSError, OperationalError, AMQPError)

DEFAULT_TIMEOUT_SECONDS = 30.0
CONNECT_TIMEOUT_SECONDS = 5
CONFIRM_TIMEOUT_SECONDS = 10


class HasBroker(Protocol):
    """Whatever knows the operator's AMQP address, as the state of a stack does."""

    @property
    def amqp(self) -> str:
        """``amqp://user:password@host:port/vhost``."""


class RemoteFault(Exception):
    """A service answered with an error that is not in the contract, such as wrong argument names."""


class Calls:
    """One connection, one call at a time. Use it as a context manager; it connects on the first call."""

    def __init__(self, stack: HasBroker) -> None:
        self._url = stack.amqp
        self._connection: Any = None
        self._channel: Any = None
        self._reply_to = ""
        self._replies: dict[str, Any] = {}
        self._returned: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; the reply queue goes with it."""
        if self._connection is not None:
            with suppress(*_BROKEN):
                self._connection.release()
        self._connection = self._channel = None

    def call(
        self,
        method: Method,
        request: Request,
        *,
        operation_id: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> Any:
        """Call ``method`` and give its answer, decoded into the type of the contract.

        ``timeout`` is in seconds. Raises the service's own refusal; :class:`Unavailable` if the call did
        not leave; :class:`OutcomeUnknown` if no answer came; :class:`RemoteFault` for anything else.
        Repeated under the same ``operation_id``, a change has one effect and one answer if its method keeps its
        answers; otherwise it runs again (see :class:`Method`).
        """
        deadline = time.time() + timeout
        call_id = new_id()
        body = orjson.dumps({"args": [], "kwargs": msgspec.to_builtins(request)})
        context = context_of(method, body, call_id=call_id, operation_id=operation_id, deadline=deadline)
        try:
            self._connect()
        except _BROKEN as fault:
            self.close()
            raise Unavailable(f"The broker cannot be reached: {fault}") from None
        self._publish(method, body, context, timeout)
        return answer_of(method, self._reply(method, call_id, deadline))

    def _connect(self) -> None:
        if self._connection is not None and self._connection.connected:
            return
        self._connection = _Connection(
            self._url, connect_timeout=CONNECT_TIMEOUT_SECONDS, transport_options={"confirm_publish": True}
        )
        self._connection.ensure_connection(max_retries=1, timeout=CONNECT_TIMEOUT_SECONDS)
        self._channel = self._connection.default_channel
        self._channel.events["basic_return"].add(lambda fault, *_: self._returned.append(fault))
        self._reply_to = new_id()
        queue, _, _ = self._channel.queue_declare(queue="", exclusive=True, durable=False, auto_delete=True)
        self._channel.queue_bind(queue, exchanges.CALLS, self._reply_to)
        self._channel.basic_consume(queue, no_ack=True, callback=self._keep)

    def _publish(self, method: Method, body: bytes, context: dict[str, Any], timeout: float) -> None:
        self._returned.clear()
        self._replies.clear()
        message = self._channel.prepare_message(
            body,
            content_type="application/json",
            content_encoding="utf-8",
            headers=context,
            properties={
                "reply_to": self._reply_to,
                "correlation_id": context[headers.PREFIX + headers.REQUEST_ID],
                "expiration": str(int(timeout * 1000)),
                "delivery_mode": 1,
            },
        )
        try:
            self._channel.basic_publish(
                message, exchanges.CALLS, method.routing_key, mandatory=True, confirm_timeout=CONFIRM_TIMEOUT_SECONDS
            )
        except MessageNacked:
            raise Unavailable("The broker refused the call.") from None
        except _BROKEN as fault:
            self.close()
            raise OutcomeUnknown(f"The connection broke while {method.routing_key} was sent.") from fault
        if self._returned:
            raise Unavailable(f"No {method.service} service has ever run here.")

    def _keep(self, message: Any) -> None:
        self._replies[message.properties.get("correlation_id")] = message.body

    def _reply(self, method: Method, call_id: str, deadline: float) -> Any:
        while call_id not in self._replies:
            remaining = deadline - time.time()
            if remaining <= 0 or self._connection is None:
                raise OutcomeUnknown(f"{method.routing_key} did not answer in time.")
            try:
                self._connection.drain_events(timeout=remaining)
            except TimeoutError:
                continue
            except _BROKEN as fault:
                self.close()
                raise OutcomeUnknown(f"The connection broke while {method.routing_key} was running.") from fault
        return orjson.loads(self._replies.pop(call_id))


def context_of(
    method: Method, body: bytes, *, call_id: str, operation_id: str | None, deadline: float
) -> dict[str, Any]:
    """The headers of a call; ``deadline`` in seconds of the epoch.

    A change always has an operation id, for the broker may bring it again. Only one that its caller named can be asked
    for twice: under a new one there is nothing to tell apart, and the fingerprint of a password can be guessed from.
    """
    context: dict[str, Any] = {
        headers.REQUEST_ID: call_id,
        headers.DEADLINE: int(deadline * 1000),
        headers.CALL_ID_STACK: [f"operator.{method.name}.{call_id}"],
    }
    if method.mutating:
        context[headers.OPERATION_ID] = operation_id or f"operator/{call_id}"
    if method.mutating and operation_id:
        context[headers.OPERATION_FINGERPRINT] = hashlib.sha256(body).hexdigest()
    return headers.on_the_wire(context)


def answer_of(method: Method, reply: dict[str, Any]) -> Any:
    """What a reply says, in the types of the contract. Raises the refusal or :class:`RemoteFault` it holds."""
    error = reply.get("error")
    if error:
        raise _as_exception(error)
    return msgspec.convert(reply.get("result"), method.answer)


def _as_exception(error: dict[str, Any]) -> Exception:
    if known_refusals.is_refusal(error):
        return known_refusals.from_wire(error)
    return RemoteFault(f"{error.get('exc_type')}: {error.get('value')}")
