"""Pages for people: the interface to try out, its machine-readable form, and what each problem means."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from sanic import HTTPResponse
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]  # it ships files, no types

from edge.exchange import Exchange
from edge.problems import BY_SLUG, Rejected
from edge.targets.rpc import arguments_of

PAGES = Path(__file__).parent.parent / "pages"
ASSETS = {
    "swagger-ui.css": (Path(swagger_ui_path), "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": (Path(swagger_ui_path), "text/javascript; charset=utf-8"),
    "start.js": (PAGES, "text/javascript; charset=utf-8"),
    "page.css": (PAGES, "text/css; charset=utf-8"),
}
HTML = "text/html; charset=utf-8"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)
_templates = Environment(loader=FileSystemLoader(PAGES), autoescape=True)


async def openapi(exchange: Exchange) -> HTTPResponse:
    """The OpenAPI document, made once from the table in force."""
    arguments_of(exchange)
    return _cached(exchange, exchange.equipment.openapi, "application/json")


async def docs(exchange: Exchange) -> HTTPResponse:
    """A page that needs nothing from the internet."""
    arguments_of(exchange)
    return _page("docs.html")


async def docs_asset(exchange: Exchange) -> HTTPResponse:
    """One of the few files of that page, by its exact name."""
    name = arguments_of(exchange)["file"]
    if name not in ASSETS:
        raise Rejected("route.not_found", "There is no such file.")
    return _cached(exchange, _content(name), ASSETS[name][1])


async def problem_page(exchange: Exchange) -> HTTPResponse:
    """What the ``type`` of a problem document leads to."""
    problem = BY_SLUG.get(arguments_of(exchange)["name"])
    if problem is None:
        raise Rejected("route.not_found", "There is no such kind of problem.")
    response = _page("problem.html", problem=problem)
    response.headers["cache-control"] = exchange.matched.policy.answer.cache_control
    return response


def _cached(exchange: Exchange, content: bytes, content_type: str) -> HTTPResponse:
    headers = {"cache-control": exchange.matched.policy.answer.cache_control}
    return HTTPResponse(content, headers=headers, content_type=content_type)


def _page(template: str, **values: object) -> HTTPResponse:
    text = _templates.get_template(template).render(**values)
    return HTTPResponse(text, headers={"content-security-policy": POLICY}, content_type=HTML)


@cache
def _content(name: str) -> bytes:
    return (ASSETS[name][0] / name).read_bytes()
