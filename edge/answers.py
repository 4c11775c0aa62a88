"""Turns a service's answer into the HTTP response that the route's policy describes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import orjson
import structlog
from sanic import HTTPResponse

from edge.conditions import entity_tag, is_unchanged
from edge.exchange import Exchange
from edge.queries import page_scope, parsed_query

log = structlog.get_logger()

JSON = "application/json"
OK = 200
NO_CONTENT = 204
NOT_MODIFIED = 304

_NAME = re.compile(r"\{([a-z_]+)\}")
_TOLD = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def respond(exchange: Exchange, result: Any) -> HTTPResponse:
    """``result`` is the service's answer as plain JSON values; it is not changed.

    A header that it cannot fill is left out: what was done is not undone by failing now.
    """
    answer = exchange.matched.policy.answer
    headers = {"cache-control": answer.cache_control}
    if answer.status == NO_CONTENT:
        return HTTPResponse(status=NO_CONTENT, headers=headers)
    if answer.page:
        headers |= _link(exchange, result["next_cursor"])
        result = result["items"]
    if answer.location is not None:
        headers |= _location(exchange, answer.location, result)
    for name, member in answer.headers.items():
        headers |= _header(exchange, name, member, result)
    body = orjson.dumps(_shown(result, {*answer.hide, *answer.headers.values()}))
    if answer.etag != "none":
        headers |= _tag(exchange, body, result)
        reads = exchange.request.method in {"GET", "HEAD"}
        if reads and "etag" in headers and is_unchanged(headers["etag"], exchange.header("if-none-match")):
            return HTTPResponse(status=NOT_MODIFIED, headers=headers)
    return HTTPResponse(body, status=answer.status, headers=headers, content_type=JSON)


def plain_json(value: Any, *, status: int = OK, cache_control: str = "no-store") -> HTTPResponse:
    """An answer of the edge itself."""
    headers = {"cache-control": cache_control}
    return HTTPResponse(orjson.dumps(value), status=status, headers=headers, content_type=JSON)


def _shown(result: Any, hidden: set[str]) -> Any:
    if not hidden:
        return result
    if isinstance(result, list):
        return [_shown(part, hidden) for part in result]
    if not isinstance(result, dict):
        return result
    return {name: value for name, value in result.items() if name not in hidden}


def _location(exchange: Exchange, template: str, result: Any) -> dict[str, str]:
    known = {**exchange.variables, **_members(result)}
    filled: dict[str, str] = {}
    for name in _NAME.findall(template):
        text = _text(known.get(name))
        if not text:
            return _left_out(exchange, "location", name)
        filled[name] = quote(text, safe="")
    return {"location": template.format_map(filled)}


def _header(exchange: Exchange, name: str, member: str, result: Any) -> dict[str, str]:
    """One that is null or empty says nothing, nor does one that the contract lets be absent."""
    own = _members(result)
    if member not in own and not _is_promised(exchange.matched.answer, member):
        return {}
    text = _text(own[member]) if member in own else None
    if text is None or (text and not _TOLD.fullmatch(text)):
        return _left_out(exchange, name.lower(), member)
    return {name.lower(): text} if text else {}


def _tag(exchange: Exchange, body: bytes, result: Any) -> dict[str, str]:
    changes = exchange.matched.transforms
    mark = changes.mark if changes is not None else ""
    if exchange.matched.policy.answer.etag == "content":
        return {"etag": entity_tag(body, version=None, mark=mark)}
    version = _members(result).get("version")
    if not isinstance(version, int):
        return _left_out(exchange, "etag", "version")
    return {"etag": entity_tag(body, version=version, beside=_beside_version(exchange, result), mark=mark)}


def _beside_version(exchange: Exchange, result: Any) -> int | None:
    """What changes without a new version, unless the route hides it."""
    member = getattr(exchange.matched.answer, "beside_version", None)
    figure = _shown(_members(result), {*exchange.matched.policy.answer.hide}).get(member)
    return figure if isinstance(figure, int) and figure >= 0 else None


def _members(result: Any) -> dict[str, Any]:
    return result if isinstance(result, dict) else {}


def _text(value: Any) -> str | None:
    """As it stands in a header; empty for null, ``None`` for what no header can tell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int | float) else None


def _is_promised(kind: Any, member: str) -> bool:
    fields = msgspec.structs.fields(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()
    return any(field.name == member and field.required for field in fields)


def _left_out(exchange: Exchange, header: str, member: str) -> dict[str, str]:
    route = exchange.matched
    if header not in route.lacking:
        route.lacking.add(header)
        log.error("edge.header_left_out", route=route.policy.name, header=header, member=member)
    return {}


def _link(exchange: Exchange, cursor: str | None) -> dict[str, str]:
    """Where the next page is (RFC 8288), under the same filters and limit."""
    if cursor is None:
        return {}
    query = parsed_query(exchange.request.query_string)
    sealed = exchange.equipment.cursors.seal(cursor, scope=page_scope(exchange.matched.policy.name, query))
    following = urlencode([*sorted(part for part in query if part[0] != "cursor"), ("cursor", sealed)])
    return {"link": f'<{exchange.matched.policy.path}?{following}>; rel="next"'}
