"""Describes the interface as OpenAPI 3.1, made from the route table and the contracts, so that it cannot lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_type_hints

import msgspec
import orjson

from edge.aggregate.described import calls_of, has_http_part
from edge.plugins.installed import plugin_named
from edge.policies import RoutePolicy, Source
from edge.problems import MEDIA_TYPE, PROBLEMS
from edge.routes import Route, RouteTable
from edge.told_headers import HEADERS
from edge.upstreams.described import http_answer, http_body, http_parameters

Json = dict[str, Any]
REF = "#/components/schemas/{name}"
SOURCES_IN: dict[Source, str] = {"path": "path", "query": "query"}
COMMON = ("request.invalid", "request.malformed", "access.denied", "quota.exceeded", "internal", "service.unavailable")
KEY_PATTERN = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"
TAG_PATTERN = r'^(\*|(W/)?"[\x21\x23-\x7e]*")$'

KEYS_COUNT = ("accepted", "required")
ALWAYS = ("X-Request-ID", "Server-Timing", "Cache-Control")
WHEN_AGAIN = (408, 409, 429, 503)
CHALLENGING = (401, 403)
BASIC: Json = {"type": "http", "scheme": "basic", "description": "A client's id and secret (RFC 6749 §2.3.1)."}
PROBLEM_SCHEMA: Json = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `errors` names every bad field at once.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id", "retryable"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "enum": sorted(PROBLEMS)},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


OAUTH_STATUSES = (400, 401)
OAUTH_ERROR: Json = {
    "type": "object",
    "description": "RFC 6749 §5.2.",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}


def describe(table: RouteTable) -> bytes:
    """The document, as JSON."""
    shapes = [shape for route in table.routes for shape in _shapes(route)]
    schemas, components = msgspec.json.schema_components([kind for _, kind in shapes], ref_template=REF)
    by_place = {place: schema for (place, _), schema in zip(shapes, schemas, strict=True)}
    paths: Json = {}
    for route in table.routes:
        paths.setdefault(route.policy.path, {})[route.policy.method.lower()] = _operation(route, by_place, components)
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "Kirana", "version": "1", "description": "The shop, as its clients see it."},
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "schemas": {**components, "Problem": PROBLEM_SCHEMA},
                "headers": HEADERS,
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "at+jwt"},
                    "client": BASIC,
                },
            },
        }
    )


def _shapes(route: Route) -> list[tuple[tuple[str, str], Any]]:
    """Every type of this route that needs a schema, each with the place where it stands."""
    name = route.policy.name
    takes_body = "body" in route.policy.arguments.values()
    shapes: list[tuple[tuple[str, str], Any]] = [((name, "body"), route.binding.body)] if takes_body else []
    shapes += [((name, field), kind) for field, kind in get_type_hints(route.binding.text, include_extras=True).items()]
    if route.answer is not None:
        shapes.append(((name, "answer"), route.answer))
    return shapes


def _operation(route: Route, schemas: dict[tuple[str, str], Json], components: Json) -> Json:
    policy = route.policy
    operation: Json = {
        "operationId": policy.name,
        "summary": policy.summary,
        "tags": [policy.tag],
        "parameters": [*_parameters(route, schemas), *_header_parameters(policy)],
        "responses": {
            **(http_answer() if policy.http or has_http_part(policy) else {}),
            **({} if policy.http else {str(policy.answer.status): _answer(route, schemas, components)}),
            **_unchanged(policy),
            **_problems(route),
        },
    }
    if policy.http:
        operation |= {"parameters": [*http_parameters(policy), *_header_parameters(policy)], **http_body(policy)}
    if policy.auth != "none":
        wanted: list[Json] = [{"token": policy.scopes}]
        operation["security"] = wanted if policy.auth == "required" else [{}, *wanted]
    elif policy.body == "form":
        operation["security"] = [{}, {"client": []}]
    body = schemas.get((policy.name, "body"))
    if policy.body == "text":
        text = {"schema": {"type": "string"}}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/yaml": text, "application/json": {"schema": {"type": "object"}}},
        }
    elif body is not None:
        required = any(field.required for field in msgspec.structs.fields(route.binding.body))
        kind = "application/x-www-form-urlencoded" if policy.body == "form" else "application/json"
        operation["requestBody"] = {"required": required, "content": {kind: {"schema": body}}}
    return operation


def _parameters(route: Route, schemas: dict[tuple[str, str], Json]) -> list[Json]:
    fields = {field.name: field for field in msgspec.structs.fields(route.binding.text)}
    return [
        {
            "name": name,
            "in": SOURCES_IN[source],
            "required": source == "path" or fields[name].required,
            "schema": schemas[route.policy.name, name],
        }
        for name, source in route.policy.arguments.items()
        if source in SOURCES_IN
    ]


def _header_parameters(policy: RoutePolicy) -> list[Json]:
    text = {"type": "string"}
    headers: list[Json] = []
    if policy.idempotency in KEYS_COUNT:
        key = {**text, "maxLength": 255, "pattern": KEY_PATTERN}
        headers.append({"name": "Idempotency-Key", "required": policy.idempotency == "required", "schema": key})
    if "if-match" in policy.arguments.values():
        headers.append({"name": "If-Match", "schema": {**text, "pattern": TAG_PATTERN}})
    if "caller.cart_token" in policy.arguments.values():
        headers.append({"name": "X-Cart-Token", "schema": text})
    if _can_be_unchanged(policy):
        headers.append({"name": "If-None-Match", "schema": text})
    return [{"in": "header", "required": False, **header} for header in headers]


def _can_be_unchanged(policy: RoutePolicy) -> bool:
    return policy.answer.etag != "none" and policy.method == "GET"


def _unchanged(policy: RoutePolicy) -> Json:
    if not _can_be_unchanged(policy):
        return {}
    sent = {*ALWAYS, "ETag", "Link", "Age", "Cache-Status", "RateLimit", "RateLimit-Policy"}
    headers = {name: part for name, part in _headers(policy).items() if name in sent}
    return {"304": {"description": "You have this already: see If-None-Match.", "headers": headers}}


def _answer(route: Route, schemas: dict[tuple[str, str], Json], components: Json) -> Json:
    policy = route.policy
    answer: Json = {"description": policy.summary, "headers": _headers(policy)}
    if policy.answer.status != 204 and route.answer is not None:  # noqa: PLR2004  # the number is the status's name
        schema = _page_items(schemas[policy.name, "answer"], components, page=policy.answer.page)
        hidden = {*policy.answer.hide, *policy.answer.headers.values()}
        others: Json = {kind: {} for named in policy.plugins for kind in plugin_named(named.name).media_types}
        answer["content"] = {"application/json": {"schema": _without(schema, hidden, components)}, **others}
    return answer


def _page_items(schema: Json, components: Json, *, page: bool) -> Json:
    items: Json = components[_name(schema)]["properties"]["items"] if page else schema
    return items


def _without(schema: Json, hidden: set[str], components: Json) -> Json:
    """The schema as clients see it: members that are hidden or travel in headers are left out."""
    if not hidden:
        return schema
    if schema.get("type") == "array":
        return {**schema, "items": _without(schema["items"], hidden, components)}
    whole = components[_name(schema)]
    return {
        **{name: value for name, value in whole.items() if name != "title"},
        "properties": {name: part for name, part in whole["properties"].items() if name not in hidden},
        "required": [name for name in whole.get("required", []) if name not in hidden],
    }


def _name(schema: Json) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _headers(policy: RoutePolicy) -> Json:
    names = list(ALWAYS)
    names += ["ETag"] if policy.answer.etag != "none" else []
    names += ["Age", "Cache-Status"] if policy.cache else []
    names += ["Location"] if policy.answer.location else []
    names += ["Link"] if policy.answer.page else []
    names += ["RateLimit", "RateLimit-Policy"] if policy.limits else []
    names += ["Idempotency-Replayed"] if policy.idempotency in KEYS_COUNT else []
    names += ["X-Cart-Merged", "X-Cart-Left-Out"] if policy.local == "log_in" else []
    names += ["Pragma"] if policy.body == "form" else []
    own = {name: _moved(member) for name, member in policy.answer.headers.items() if name not in HEADERS}
    return _told([*names, *(name for name in policy.answer.headers if name in HEADERS)]) | own


def _moved(member: str) -> Json:
    """A header that only this route's table knows."""
    return {"description": f"The answer's `{member}`.", "schema": {"type": "string"}}


def _told(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _problem_headers(policy: RoutePolicy, status: int) -> Json:
    names = [*ALWAYS]
    names += ["RateLimit", "RateLimit-Policy"] if policy.limits else []
    names += ["Idempotency-Replayed"] if policy.idempotency in KEYS_COUNT else []
    names += ["Retry-After"] if status in WHEN_AGAIN else []
    names += ["WWW-Authenticate"] if status in CHALLENGING else []
    names += ["Pragma"] if policy.body == "form" and status in OAUTH_STATUSES else []
    names += ["Age", "Cache-Status"] if policy.cache else []
    return _told(names)


def _problems(route: Route) -> Json:
    """Per status one problem response, naming the codes that may stand in it."""
    areas = _areas(route)
    codes = {*COMMON, *(code for code in PROBLEMS if code.split(".")[0] in areas)}
    codes |= {code for named in route.policy.plugins for code in plugin_named(named.name).problems}
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    oauth = {"application/json": {"schema": OAUTH_ERROR}} if route.policy.body == "form" else {}
    return {
        str(status): {
            "description": "One of: " + ", ".join(f"`{code}`" for code in listed),
            "headers": _problem_headers(route.policy, status),
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": REF.format(name="Problem")}},
                **(oauth if status in OAUTH_STATUSES else {}),
            },
        }
        for status, listed in sorted(by_status.items())
    }


def _areas(route: Route) -> set[str]:
    """The first parts of the codes that this route may answer with."""
    policy = route.policy
    areas = {"request", "route"} if policy.arguments else {"route"}
    areas |= {"auth"} if policy.auth != "none" else set()
    areas |= {"outcome", "deadline"} if route.mutating else {"deadline"}
    areas |= {"idempotency"} if route.mutating and policy.idempotency != "ignored" else set()
    areas |= {"version"} if "if-match" in policy.arguments.values() else set()
    areas |= {"request", "upstream"} if policy.http else set()
    areas |= {call.partition(".")[0] for call in calls_of(policy)}
    areas |= {"upstream"} if policy.aggregate and route.http_policies else set()
    areas |= {"version"} if policy.body == "text" else set()
    areas |= {"identity"} if policy.local in {"log_in", "log_out", "grant_token"} else set()
    return areas | ({"catalog", "cart"} if policy.name in {"checkout", "place_order", "add_cart_item"} else set())
