"""Nameko's wire format, to the letter: what a call and its answer look like as bytes, properties and headers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from pamqp.commands import Basic

from edge.rpc.calls import RpcReply
from edge.rpc.failures import Blame, OutcomeUnknown, RemoteRefusal
from shared.contracts import frames, headers
from shared.contracts.refusals import Internal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pamqp.common import FieldTable

    from edge.rpc.calls import CallContext
    from shared.contracts.method import Method

CONTENT_TYPE = "application/json"
TRANSIENT = 1
_OUR_ERRORS = "kirana."
_NULL = msgspec.Raw(b"null")


def encode_call(arguments: dict[str, Any]) -> bytes:
    """The body of a call: always keyword arguments, since contracts name their fields."""
    return orjson.dumps({"args": (), "kwargs": arguments})


def context_of(method: Method, context: CallContext, *, deadline_ms: int | None = None) -> dict[str, Any]:
    """What travels beside the arguments. Only mutating calls carry an operation id."""
    found: dict[str, Any] = {
        headers.REQUEST_ID: context.request_id,
        headers.DEADLINE: context.deadline.epoch_ms if deadline_ms is None else deadline_ms,
        headers.CALL_ID_STACK: [f"edge.{context.route}.{context.request_id}"],
        headers.SENT_AT: time.time_ns() // 1_000_000,
    }
    if method.mutating and context.operation_id is not None:
        found[headers.OPERATION_ID] = context.operation_id
    if method.mutating and context.fingerprint is not None:
        found[headers.OPERATION_FINGERPRINT] = context.fingerprint
    if method.mutating and context.beside_version is not None:
        found[headers.BESIDE_VERSION] = context.beside_version
    if context.user_id is not None:
        found[headers.USER_ID] = context.user_id
    if context.traceparent is not None:
        found[headers.TRACEPARENT] = context.traceparent
    if context.tracestate is not None:
        found[headers.TRACESTATE] = context.tracestate
    return found


def properties_of(method: Method, context: CallContext, *, correlation_id: str, reply_to: str) -> Basic.Properties:
    """What travels with a lone call."""
    return _properties(
        correlation_id,
        reply_to,
        patience=context.deadline.remaining(),
        table=headers.on_the_wire(context_of(method, context)),
    )


def frame_properties(correlation_id: str, *, reply_to: str, patience: float) -> Basic.Properties:
    """What travels with a frame whose first caller to give up waits for ``patience`` seconds."""
    return _properties(correlation_id, reply_to, patience=patience, table={}, message_type=frames.CALLS)


def _properties(
    correlation_id: str, reply_to: str, *, patience: float, table: FieldTable, message_type: str | None = None
) -> Basic.Properties:
    return Basic.Properties(
        content_type=CONTENT_TYPE,
        content_encoding="utf-8",
        delivery_mode=TRANSIENT,
        correlation_id=correlation_id,
        message_id=correlation_id,
        message_type=message_type,
        reply_to=reply_to,
        expiration=frames.expiration_of(patience),
        headers={**table, headers.RETURN_TO: reply_to},
    )


def decode_reply(body: bytes, reply_headers: Mapping[str, Any] | None) -> RpcReply:
    """Read the answer to a lone call.

    Raises ``RemoteRefusal`` for an error of ours and for any error a stock Nameko service reports, and
    ``OutcomeUnknown`` when the answer cannot be read: something ran, nobody knows with which result.
    """
    try:
        reply = orjson.loads(body)
        error = reply["error"]
        result = reply["result"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise OutcomeUnknown("unreadable reply", blame=Blame.SERVICE) from None
    replayed = bool((reply_headers or {}).get(headers.PREFIX + headers.REPLAYED))
    if error is not None:
        raise _refusal_of(error, replayed=replayed)
    return RpcReply(result, replayed=replayed)


def open_reply(reply: frames.FramedReply) -> RpcReply:
    """Read the answer to a call in a frame; raises as :func:`decode_reply` does."""
    try:
        error = None if reply.error == _NULL else msgspec.json.decode(reply.error)
        result = msgspec.json.decode(reply.result)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise OutcomeUnknown("unreadable reply", blame=Blame.SERVICE) from None
    if error is not None:
        raise _refusal_of(error, replayed=reply.replayed)
    return RpcReply(result, replayed=reply.replayed)


def _refusal_of(error: Any, *, replayed: bool) -> RemoteRefusal:
    refusal = _read_refusal(error)
    refusal.replayed = replayed
    return refusal


def _read_refusal(error: Any) -> RemoteRefusal:
    """Only our own errors carry a text for callers; what Python says of other exceptions stays inside."""
    match error:
        case {"exc_path": str(path), "exc_args": [str(code), str(sentence), dict(details), *_]} if path.startswith(
            _OUR_ERRORS
        ):
            return RemoteRefusal(code, sentence, details)
        case {"exc_type": str(kind)}:
            return RemoteRefusal(Internal.code, Internal.sentence, {}, remote_type=kind)
    return RemoteRefusal(Internal.code, Internal.sentence, {}, remote_type="unknown")
