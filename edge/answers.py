"""Turns a service's answer into the HTTP response that the route's policy describes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
from sanic import HTTPResponse

from edge.conditions import entity_tag, is_unchanged
from edge.exchange import Exchange
from edge.queries import page_scope, parsed_query

JSON = "application/json"
OK = 200
NO_CONTENT = 204
NOT_MODIFIED = 304


def respond(exchange: Exchange, result: Any) -> HTTPResponse:
    """``result`` is the service's answer as plain JSON values; it is not changed."""
    answer = exchange.matched.policy.answer
    headers = {"cache-control": answer.cache_control}
    if answer.status == NO_CONTENT:
        return HTTPResponse(status=NO_CONTENT, headers=headers)
    if answer.page:
        headers |= _link(exchange, result["next_cursor"])
        result = result["items"]
    if answer.location is not None:
        headers["location"] = answer.location.format_map(result)
    headers |= {name.lower(): str(result[member]) for name, member in answer.headers.items() if result.get(member)}
    body = orjson.dumps(_shown(result, {*answer.hide, *answer.headers.values()}))
    if answer.etag != "none":
        headers["etag"] = entity_tag(body, version=result["version"] if answer.etag == "version" else None)
        reads = exchange.request.method in {"GET", "HEAD"}
        if reads and is_unchanged(headers["etag"], exchange.header("if-none-match")):
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
    return {name: value for name, value in result.items() if name not in hidden}


def _link(exchange: Exchange, cursor: str | None) -> dict[str, str]:
    """Where the next page is (RFC 8288), under the same filters and limit."""
    if cursor is None:
        return {}
    query = parsed_query(exchange.request.query_string)
    sealed = exchange.equipment.cursors.seal(cursor, scope=page_scope(exchange.matched.policy.name, query))
    following = urlencode([*sorted(part for part in query if part[0] != "cursor"), ("cursor", sealed)])
    return {"link": f'<{exchange.matched.policy.path}?{following}>; rel="next"'}
