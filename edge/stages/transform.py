"""Changes a request's JSON before its target sees it, and the answer after: what the route says, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import structlog
from sanic import HTTPResponse

from edge.composing import only_for
from edge.digits import read_exactly
from edge.exchange import Exchange, Target
from edge.problems import Rejected
from edge.transforms.changing import Clash, change_fields
from edge.transforms.tags import for_client, for_service
from edge.upstreams.delivery import Delivered
from edge.upstreams.failures import Unusable

if TYPE_CHECKING:
    from edge.policies import RoutePolicy
    from edge.transforms.changing import JsonChanger
    from edge.transforms.compiled import RouteChanges

log = structlog.get_logger()

MOST_BYTES = 1_000_000
"""Of a JSON answer that is to be changed: it must be had whole."""

DIGESTS = ("content-digest", "repr-digest", "digest", "content-md5")
"""What is said of a body as it was."""

PARTIAL = 206
OTHER_FAMILIES = ("image", "audio", "video", "font")
OTHER_KINDS = frozenset(
    {
        "text/html", "text/css", "text/csv", "text/xml", "text/event-stream", "application/xml", "application/pdf",
        "application/zip", "application/gzip",
    }
)  # fmt: skip
"""What nobody says of JSON. All else may be some: labels are forgotten, and ``text/plain`` is what many begin with."""


@only_for(lambda route: route.transforms is not None or (route.policy.http is not None and route.mutating))
async def transform(exchange: Exchange, proceed: Target) -> HTTPResponse:
    """An answer that should be changed and cannot be is none: what a route hides must not come out for being large.

    Nor for how it is labelled. The edge's own problems do not come by here: they are exceptions, told further out.
    Writes that are passed on may name a tag that another route has marked.
    """
    changes, is_passed_on = exchange.matched.transforms, exchange.matched.policy.http is not None
    if is_passed_on:
        mark, reads = changes.mark if changes is not None else "", not exchange.matched.mutating
        for_service(exchange.request.headers, mark, reads=reads)
    if changes is None:
        return await proceed(exchange)
    if changes.request_json is not None and exchange.body is not None:  # an empty one too: what is set is set always
        exchange.body = _changed_body(_offered(exchange), changes.request_json)
    response = await proceed(exchange)
    try:
        changed = await _changed(exchange, response, changes)
    except Unusable as unusable:
        log.warning("edge.answer_not_changed", reason=unusable.reason)
        raise
    if is_passed_on and changes.mark:
        for_client(changed.headers, changes.mark)
    return changed


def _offered(exchange: Exchange) -> dict[str, Any]:
    """The body; where it is passed on, a number that no contract here knows must go on as it is written."""
    policy, raw = exchange.matched.policy, exchange.request.body
    if policy.http is None or policy.body != "json" or not raw.strip():
        return exchange.body or {}
    offered: dict[str, Any] = read_exactly(raw)
    return offered


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


async def _changed(exchange: Exchange, response: HTTPResponse, changes: RouteChanges) -> HTTPResponse:
    kinds = _kinds(response)
    is_told = any(map(_is_json, kinds))
    may_be_json = is_told or (_hides(exchange.matched.policy) and not all(map(_is_other, kinds)))
    if changes.response_json is not None:
        for name in DIGESTS:
            response.headers.popall(name, None)
    if changes.response_json is not None and may_be_json:
        if exchange.request.method == "HEAD" and isinstance(response, Delivered):
            response.headers.pop("content-length", None)  # that of the changed body is not known without the body
        else:
            response = await _with_json(response, changes.response_json, is_told=is_told)
    if changes.back is not None:
        changed = change_fields([(name, str(value)) for name, value in response.headers.items()], changes.back)
        response.headers.clear()
        for name, value in changed:
            response.headers.add(name, value)
    return response


async def _with_json(response: HTTPResponse, changer: JsonChanger, *, is_told: bool) -> HTTPResponse:
    """``is_told``: the answer says that it is JSON. If not, one without a brace passes: it can hold no member."""
    if isinstance(response, Delivered):
        response = await response.gathered(MOST_BYTES)
    if not response.body:
        return response
    packed = set(response.headers.getall("content-encoding", [])) - {"identity"}
    if packed or len(response.body) > MOST_BYTES:
        raise Unusable("the answer is packed, or too large to be changed")
    if response.status == PARTIAL:  # the value alone would be JSON, too
        raise Unusable("a part of an answer cannot be changed")
    if not is_told and b"{" not in response.body:
        return response
    try:
        response.body = orjson.dumps(changer.change(read_exactly(response.body)))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError, Clash) as fault:
        raise Unusable(f"the answer's JSON cannot be changed: {fault!r}"[:200]) from None
    response.headers.pop("content-length", None)
    return response


def _hides(policy: RoutePolicy) -> bool:
    response = policy.transforms.response if policy.transforms else None
    return response is not None and response.json is not None and bool(response.json.drop)


def _kinds(response: HTTPResponse) -> list[str]:
    """Of an answer that says several, clients choose one in ways of their own."""
    told = response.headers.getall("content-type", [response.content_type or ""])
    return [kind.partition(";")[0].strip().lower() for kind in ",".join(map(str, told)).split(",")]


def _is_json(kind: str) -> bool:
    return kind.endswith(("/json", "+json"))


def _is_other(kind: str) -> bool:
    family, _, detail = kind.partition("/")
    return family in OTHER_FAMILIES or kind in OTHER_KINDS or detail.endswith("+xml")
