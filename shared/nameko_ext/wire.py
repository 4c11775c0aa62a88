"""Reads what came over the wire without trusting it: nothing a message can contain gets past here as a surprise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson

from shared.contracts import headers
from shared.messaging.call import Call
from shared.resilience.deadline import Deadline, NotADeadline
from shared.values.identifiers import is_sane_token, new_id

CONTENT_TYPE = "application/json"
ENCODINGS = frozenset({"", "utf-8", "utf8", "binary"})
LONGEST_HEADER = 1024
LONGEST_OPERATION_ID = 1024
"""In bytes, not in signs like the others: it is kept in indexes, and PostgreSQL takes none of over 2,704."""

LATEST_MOMENT = 1 << 53
LONGEST_STACK = 64
LONGEST_ADDRESS = 255
HEADERS_LIMIT = 16 * 1024
BESIDE_TEXT = 4  # bytes of each name and value: its type and length, or a number
ADDRESS = re.compile(r"(amq\.gen-)?[A-Za-z0-9_-]+")


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
    """Where to answer, if that can be known at all.

    An address has no dot and no wildcard, as the broker would close our channel for an answer to anything else: it
    could be the routing key of a call. Nor is RabbitMQ's direct reply-to one: its answers take the default exchange,
    which leads into every queue, so that not every service may write to it.
    """
    reply_to = properties.get("reply_to")
    correlation_id = properties.get("correlation_id")
    if not isinstance(reply_to, str) or len(reply_to) > LONGEST_ADDRESS or not ADDRESS.fullmatch(reply_to):
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
    return Asked(args, kwargs, read_call(headers_of(properties), method=method, redelivered=redelivered))


def read_body(properties: Mapping[str, Any], body: Any) -> Any:
    """Plain JSON, or :class:`Poison`. Nothing else is ever decoded, and nothing is decompressed."""
    check_content(properties)
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, TypeError) as fault:
        raise Poison(f"the body is no JSON: {str(fault)[:100]}") from None


def check_content(properties: Mapping[str, Any]) -> None:
    """Whether the body calls itself JSON. Raises :class:`Poison`."""
    content_type = properties.get("content_type")
    if content_type is None:
        raise Poison("no content type")
    if content_type != CONTENT_TYPE:
        raise Poison(f"content type {str(content_type)[:60]!r} is not taken")
    if str(properties.get("content_encoding", "")).lower() not in ENCODINGS:
        raise Poison("content encoding is not UTF-8")


def headers_of(properties: Mapping[str, Any]) -> Any:
    """Whatever stands where a table of headers should."""
    return properties.get("application_headers") or {}


def read_call(table: Any, *, method: str, redelivered: bool = False) -> Call:
    """What travels beside a call: ``nameko.*`` headers, or the context in a frame.

    Raises :class:`Poison` for what cannot be meant.
    """
    context = _context(table)
    request_id = _text(context, headers.REQUEST_ID)
    return Call(
        request_id=request_id if request_id and is_sane_token(request_id) else new_id(),
        method=method,
        deadline=_deadline(context.get(headers.DEADLINE)),
        operation_id=_operation_id(context),
        fingerprint=_text(context, headers.OPERATION_FINGERPRINT),
        user_id=_text(context, headers.USER_ID),
        beside_version=_figure(context, headers.BESIDE_VERSION),
        traceparent=_text(context, headers.TRACEPARENT),
        tracestate=_text(context, headers.TRACESTATE),
        call_id_stack=_stack(context.get(headers.CALL_ID_STACK, [])),
        sent_at_ms=_moment(context.get(headers.SENT_AT)),
        redelivered=redelivered,
    )


def known_ids(table: Any) -> dict[str, str]:
    """For the log of a message that cannot be taken in: its request, and its user, where those can be read at all."""
    if not isinstance(table, dict):
        return {}
    plain = {str(name).removeprefix(headers.PREFIX): value for name, value in table.items()}
    named = {"http.request.id": plain.get(headers.REQUEST_ID), "user.id": plain.get(headers.USER_ID)}
    return {name: value for name, value in named.items() if isinstance(value, str) and is_sane_token(value)}


def write_call(call: Call) -> dict[str, Any]:
    """The inverse of :func:`read_call`: the headers of a lone call."""
    return headers.on_the_wire(context_of(call))


def context_of(call: Call) -> dict[str, Any]:
    """What travels beside a call in a frame, without what does not apply."""
    context = {
        headers.REQUEST_ID: call.request_id,
        headers.DEADLINE: call.deadline.epoch_ms if call.deadline else None,
        headers.OPERATION_ID: call.operation_id,
        headers.OPERATION_FINGERPRINT: call.fingerprint,
        headers.USER_ID: call.user_id,
        headers.BESIDE_VERSION: call.beside_version,
        headers.TRACEPARENT: call.traceparent,
        headers.TRACESTATE: call.tracestate,
        headers.CALL_ID_STACK: list(call.call_id_stack),
        headers.SENT_AT: call.sent_at_ms,
    }
    return {name: value for name, value in context.items() if value is not None}


def _context(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Poison("the headers are no table")
    size = 0
    context = {}
    for name, value in raw.items():
        size += len(name) + BESIDE_TEXT if name.isascii() else _size_of(name)
        size += len(value) if type(value) is str and value.isascii() else _size_of(value)  # of most this is known
        if size > HEADERS_LIMIT:
            raise Poison("the headers are too large")
        context[str(name).removeprefix(headers.PREFIX)] = value
    return context


def _size_of(value: Any) -> int:
    """About as many bytes as it has on the wire, down to the bottom of lists and tables; it stops at too many."""
    size, rest = 0, [value]
    while rest and size <= HEADERS_LIMIT:
        part = rest.pop()
        size += BESIDE_TEXT
        if isinstance(part, str):
            size += len(part) if part.isascii() else len(part.encode(errors="surrogatepass"))
        elif isinstance(part, bytes):
            size += len(part)
        elif isinstance(part, list):
            rest += part
        elif isinstance(part, dict):
            rest += part
            rest += part.values()
    return size


def _text(context: Mapping[str, Any], name: str) -> str | None:
    value = context.get(name)
    if value is None:
        return None
    if not _is_short_text(value) or "\x00" in value:
        raise Poison(f"header {name} is no short text")
    return value


def _is_short_text(value: Any) -> TypeGuard[str]:
    """Whether it can go on to others: AMQP carries lone halves of surrogate pairs, which JSON and databases do not."""
    if not isinstance(value, str) or len(value) > LONGEST_HEADER:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _operation_id(context: Mapping[str, Any]) -> str | None:
    """All changes that came under a blank one would be taken for repetitions of the first."""
    value = _text(context, headers.OPERATION_ID)
    if value is None:
        return None
    if not value.strip():
        raise Poison(f"header {headers.OPERATION_ID} is blank: it names nothing")
    if len(value.encode()) > LONGEST_OPERATION_ID:
        raise Poison(f"header {headers.OPERATION_ID} is longer than {LONGEST_OPERATION_ID} bytes")
    return value


def _deadline(value: Any) -> Deadline | None:
    if value is None:
        return None
    try:
        return Deadline.read(value)
    except NotADeadline as fault:
        raise Poison(f"header {headers.DEADLINE}: {fault}") from None


def _figure(context: Mapping[str, Any], name: str) -> int | None:
    value = context.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise Poison(f"header {name} is no whole number")
    return value


def _moment(value: Any) -> int | None:
    """Only for the log, so that a strange one is none."""
    return value if isinstance(value, int) and 0 < value < LATEST_MOMENT else None


def _stack(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > LONGEST_STACK:
        raise Poison(f"header {headers.CALL_ID_STACK} is no list of short texts")
    if not all(map(_is_short_text, value)):
        raise Poison(f"header {headers.CALL_ID_STACK} is no list of short texts")
    return tuple(value)
