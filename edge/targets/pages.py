"""Pages for people: the interface to try out and to read, its machine-readable form, and what each problem means."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
from sanic import HTTPResponse

from edge.exchange import Exchange
from edge.explanations import explained
from edge.problems import BY_SLUG, PROBLEMS, Problem, Rejected, problem_document, problem_response
from edge.targets.assets import find, html
from edge.targets.rpc import arguments_of

COMMON = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Both bundles write styles while they run. Neither needs ``unsafe-eval``."""

REDOC = f"{COMMON}; worker-src blob:"
"""Its search runs in a worker that it makes of its own code, which no other source can be given for."""

PLAIN = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

AREAS = {
    "request": "Requests",
    "route": "Requests",
    "auth": "Access",
    "access": "Access",
    "quota": "Access",
    "idempotency": "Repeating requests",
    "version": "Repeating requests",
    "deadline": "Availability",
    "service": "Availability",
    "upstream": "Availability",
    "outcome": "Availability",
    "internal": "Availability",
    "identity": "Accounts",
    "catalog": "Catalogue",
    "cart": "Cart",
    "order": "Orders",
}
REQUEST_ID = "0199f3a2-7c1e-7b64-9d0a-5b1f0c2e8a41"
UNDECIDED = {"outcome.unknown", "internal", "upstream.unusable", "idempotency.still_running"}


async def openapi(exchange: Exchange) -> HTTPResponse:
    """The OpenAPI document, made once from the table in force."""
    arguments_of(exchange)
    headers = {"cache-control": exchange.matched.policy.answer.cache_control}
    return HTTPResponse(exchange.snapshot.openapi, headers=headers, content_type="application/json")


async def docs(exchange: Exchange) -> HTTPResponse:
    """A page that needs nothing from the internet."""
    arguments_of(exchange)
    return html("docs.html", policy=COMMON)


async def redoc(exchange: Exchange) -> HTTPResponse:
    """The same to read; it needs nothing from the internet either."""
    arguments_of(exchange)
    return html("redoc.html", policy=REDOC)


async def docs_asset(exchange: Exchange) -> HTTPResponse:
    """One of the few files of the pages, by its exact name."""
    asset = find(arguments_of(exchange)["file"])
    if asset is None:
        raise Rejected("route.not_found", "There is no such file.")
    return asset.response(exchange)


async def problems(exchange: Exchange) -> HTTPResponse:
    """All kinds of problems there are, by what they are about."""
    arguments_of(exchange)
    return _lasting(exchange, "problems.html", {"areas": _areas(), "here": "/problems"})


async def problem_page(exchange: Exchange) -> HTTPResponse:
    """What the ``type`` of a problem document leads to."""
    problem = BY_SLUG.get(arguments_of(exchange)["name"])
    if problem is None:
        raise Rejected("route.not_found", "There is no such kind of problem.")
    return _lasting(exchange, "problem.html", _told(problem))


def example_of(problem: Problem) -> dict[str, Any]:
    """A document as a client could get it."""
    told = explained(problem)
    return problem_document(problem, detail=told.detail, instance=told.instance, request_id=REQUEST_ID, **told.members)


def _lasting(exchange: Exchange, template: str, values: dict[str, object]) -> HTTPResponse:
    response = html(template, policy=PLAIN, values=values)
    response.headers["cache-control"] = exchange.matched.policy.answer.cache_control
    return response


@cache
def _areas() -> dict[str, list[Problem]]:
    areas: dict[str, list[Problem]] = {}
    for problem in PROBLEMS.values():
        areas.setdefault(AREAS.get(problem.code.partition(".")[0], "Others"), []).append(problem)
    return areas


def _told(problem: Problem) -> dict[str, object]:
    document = example_of(problem)
    retry_after = problem_response(document).headers.get("retry-after")
    return {
        "problem": problem,
        "explained": explained(problem),
        "undecided": UNDECIDED,
        "phrase": HTTPStatus(problem.status).phrase,
        "headers": {"Retry-After": retry_after} if retry_after else {},
        "example": orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(),
    }
