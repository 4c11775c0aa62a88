"""Reads what came over the wire without trusting it: nothing a message can contain gets past here as a surprise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from nameko.exceptions import MalformedRequest, serialize

from shared.contracts import headers
from shared.contracts.refusals import Internal, Refusal
from shared.messaging.call import Call
from shared.resilience.deadline import Deadline, NotADeadline
from shared.values.identifiers import is_sane_token, new_id

CONTENT_TYPE = "application/json"
ENCODINGS = frozenset({"", "utf-8", "utf8", "binary"})
LONGEST_HEADER = 1024
LONGEST_STACK = 64
LONGEST_ADDRESS = 255
HEADERS_LIMIT = 16 * 1024
DIRECT_REPLY = "amq.rabbitmq.reply-to"


class Poison(Exception):
    """The message cannot be taken in; its text is the reason. It goes to parking."""


@dataclass(frozen=True)
class ReplyAddress:
    """Where the answer goes: a routing key of the RPC exchange, as Nameko has it."""

    reply_to: str
    correlation_id: str | None


@dataclass(frozen=True)
class Asked:
    """A readable request."""

    args: list[Any]
    kwargs: dict[str, Any]
    call: Call


def read_address(properties: Mapping[str, Any]) -> ReplyAddress | None:
    """Where to answer, if that can be known at all."""
    reply_to = properties.get("reply_to")
    correlation_id = properties.get("correlation_id")
    if not isinstance(reply_to, str) or not 0 < len(reply_to) <= LONGEST_ADDRESS:
        return None
    return ReplyAddress(reply_to, correlation_id if isinstance(correlation_id, str) else None)


def read_request(properties: Mapping[str, Any], body: Any, *, method: str, redelivered: bool) -> Asked:
    """Read a request to ``<service>.<method>``. Raises :class:`Poison`."""
    data = read_body(properties, body)
    if not isinstance(data, dict):
        raise Poison("the body is no object")
    args, kwargs = data.get("args"), data.get("kwargs")
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise Poison("Message missing `args` or `kwargs`")
    return Asked(args, kwargs, read_call(properties, method=method, redelivered=redelivered))


def read_body(properties: Mapping[str, Any], body: Any) -> Any:
    """Plain JSON, or :class:`Poison`. Nothing else is ever decoded, and nothing is decompressed."""
    content_type = properties.get("content_type")
    if content_type is None:
        raise Poison("no content type")
    if content_type != CONTENT_TYPE:
        raise Poison(f"content type {str(content_type)[:60]!r} is not taken")
    if str(properties.get("content_encoding", "")).lower() not in ENCODINGS:
        raise Poison("content encoding is not UTF-8")
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, TypeError) as fault:
        raise Poison(f"the body is no JSON: {str(fault)[:100]}") from None


def read_call(properties: Mapping[str, Any], *, method: str, redelivered: bool = False) -> Call:
    """The context that travels in ``nameko.*`` headers. Raises :class:`Poison` for what cannot be meant."""
    context = _context(properties.get("application_headers") or {})
    request_id = _text(context, headers.REQUEST_ID)
    return Call(
        request_id=request_id if request_id and is_sane_token(request_id) else new_id(),
        method=method,
        deadline=_deadline(context.get(headers.DEADLINE)),
        operation_id=_text(context, headers.OPERATION_ID),
        fingerprint=_text(context, headers.OPERATION_FINGERPRINT),
        user_id=_text(context, headers.USER_ID),
        traceparent=_text(context, headers.TRACEPARENT),
        call_id_stack=_stack(context.get(headers.CALL_ID_STACK, [])),
        redelivered=redelivered,
    )


def write_call(call: Call) -> dict[str, Any]:
    """The inverse of :func:`read_call`, without what does not apply."""
    context = {
        headers.REQUEST_ID: call.request_id,
        headers.DEADLINE: call.deadline.epoch_ms if call.deadline else None,
        headers.OPERATION_ID: call.operation_id,
        headers.OPERATION_FINGERPRINT: call.fingerprint,
        headers.USER_ID: call.user_id,
        headers.TRACEPARENT: call.traceparent,
        headers.CALL_ID_STACK: list(call.call_id_stack),
    }
    return headers.on_the_wire(context)


def malformed(reason: str) -> dict[str, Any]:
    """Stock Nameko's error for a message that makes no sense."""
    return stock_error(MalformedRequest(reason))


def stock_error(fault: Exception) -> dict[str, Any]:
    """One of Nameko's own errors in Nameko's own layout."""
    error: dict[str, Any] = serialize(fault)
    return error


def answer_body(result: Any) -> bytes:
    """The body of a reply that answers. What cannot be written becomes :class:`Internal`, as nobody can read it."""
    try:
        return msgspec.json.encode({"result": result, "error": None})
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return refusal_body(Internal())


def error_body(error: Mapping[str, Any]) -> bytes:
    """The body of a reply that fails."""
    return orjson.dumps({"result": None, "error": error}, option=orjson.OPT_NON_STR_KEYS)


def refusal_body(refusal: Refusal) -> bytes:
    """The body of a reply that refuses. Details that are no JSON are left out rather than losing the refusal."""
    error = refusal.to_wire()
    try:
        return error_body(msgspec.to_builtins(error))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return error_body({**error, "exc_args": [refusal.code, str(refusal), {}]})


def _context(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Poison("the headers are no table")
    size = 0
    context = {}
    for name, value in raw.items():
        size += len(str(name)) + (len(value) if isinstance(value, (str, bytes, list, dict)) else len("12345678"))
        if size > HEADERS_LIMIT:
            raise Poison("the headers are too large")
        context[str(name).removeprefix(headers.PREFIX)] = value
    return context


def _text(context: Mapping[str, Any], name: str) -> str | None:
    value = context.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_HEADER or "\x00" in value:
        raise Poison(f"header {name} is no short text")
    return value


def _deadline(value: Any) -> Deadline | None:
    if value is None:
        return None
    try:
        return Deadline.read(value)
    except NotADeadline as fault:
        raise Poison(f"header {headers.DEADLINE}: {fault}") from None


def _stack(value: Any) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or len(value) > LONGEST_STACK
        or not all(isinstance(part, str) and len(part) <= LONGEST_HEADER for part in value)
    ):
        raise Poison(f"header {headers.CALL_ID_STACK} is no list of short texts")
    return tuple(value)
