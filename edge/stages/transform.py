"""Changes a request's JSON before its target sees it, and the answer after: what the route says, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import structlog
from sanic import HTTPResponse

from edge.composing import only_for
from edge.exchange import Exchange, Target
from edge.problems import MEDIA_TYPE, Rejected
from edge.transforms.changing import Clash, change_fields
from edge.upstreams.delivery import Delivered
from edge.upstreams.failures import Unusable

if TYPE_CHECKING:
    from edge.transforms.changing import JsonChanger
    from edge.transforms.compiled import RouteChanges

log = structlog.get_logger()

MOST_BYTES = 1_000_000
"""Of a JSON answer that is to be changed: it must be had whole."""


@only_for(lambda route: route.transforms is not None)
async def transform(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """An answer that should be changed and cannot be is none: what a route hides must not come out for being large."""
    changes = exchange.matched.transforms
    if changes is None:
        return await proceed(exchange)
    if changes.request_json is not None and exchange.body is not None:  # an empty one too: what is set is set always
        exchange.body = _changed_body(exchange.body, changes.request_json)
    response = await proceed(exchange)
    try:
        return await _changed(response, changes)
    except Unusable as unusable:
        log.warning("edge.answer_not_changed", reason=unusable.reason)
        raise


def _changed_body(body: dict[str, object], changer: JsonChanger) -> dict[str, object]:
    try:
        changed: dict[str, object] = changer.change(dict(body))
    except Clash as clash:
        detail = "This name is used for something else here."
        raise Rejected(
            "request.invalid", "The body has a member that stands in the way.",
            errors=[{"pointer": f"/{clash}", "detail": detail}],
        ) from None  # fmt: skip
    return changed


async def _changed(response: HTTPResponse, changes: RouteChanges) -> HTTPResponse:
    if changes.response_json is not None and _is_json(response):
        response = await _with_json(response, changes.response_json)
    if changes.back is not None:
        changed = change_fields([(name, str(value)) for name, value in response.headers.items()], changes.back)
        response.headers.clear()
        for name, value in changed:
            response.headers.add(name, value)
    return response


async def _with_json(response: HTTPResponse, changer: JsonChanger) -> HTTPResponse:
    if isinstance(response, Delivered):
        response = await response.gathered(MOST_BYTES)
    if not response.body:
        return response
    if response.headers.get("content-encoding", "identity") != "identity" or len(response.body) > MOST_BYTES:
        raise Unusable("the answer is packed, or too large to be changed")
    try:
        changed = changer.change(orjson.loads(response.body))
    except (orjson.JSONDecodeError, Clash) as fault:
        raise Unusable(f"the answer's JSON cannot be changed: {fault!r}"[:200]) from None
    response.body = orjson.dumps(changed)
    response.headers.pop("content-length", None)
    return response


def _is_json(response: HTTPResponse) -> bool:
    kind = str(response.headers.get("content-type") or response.content_type or "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.endswith("+json") and kind != MEDIA_TYPE)
