"""The files that the pages are made of. Those of our own have a name that changes with their content."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from sanic import HTTPResponse
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]  # it ships files, no types

from edge.exchange import Exchange

PAGES = Path(__file__).parent.parent / "pages"
SWAGGER = Path(swagger_ui_path)
HTML = "text/html; charset=utf-8"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PLACES = {"swagger-ui.css": SWAGGER, "swagger-ui-bundle.js": SWAGGER}
OWN = ("docs.css", "icon.svg", "page.css", "redoc.js", "start.js", "status.css", "status.js")
PACKED = ("redoc.standalone.js",)
"""Third parties' files that are kept compressed."""

FOR_GOOD = "public, max-age=31536000, immutable"
FINGERPRINT = 10


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of a page. ``packed`` is the content in gzip, where it is kept so."""

    content_type: str
    content: bytes
    packed: bytes | None = None
    is_fingerprinted: bool = False

    def response(self, exchange: Exchange) -> HTTPResponse:
        """The file, compressed for whoever takes that."""
        headers = {"cache-control": FOR_GOOD if self.is_fingerprinted else exchange.matched.policy.answer.cache_control}
        content = self.content
        if self.packed is not None:
            headers["vary"] = "Accept-Encoding"
            if _takes_gzip(exchange.header("accept-encoding") or ""):
                content, headers["content-encoding"] = self.packed, "gzip"
        return HTTPResponse(content, headers=headers, content_type=self.content_type)


def find(name: str) -> Asset | None:
    """The file under this name, plain or with its fingerprint; ``None`` when the pages have no such file."""
    return _assets().get(name)


def asset(name: str) -> str:
    """The path of one of our own files, for a template."""
    return f"/docs/{_fingerprinted(name, (_assets()[name].content))}"


def html(template: str, *, policy: str, values: Mapping[str, object] | None = None) -> HTTPResponse:
    """A page. ``policy`` says what a browser may load for it."""
    text = _templates().get_template(template).render(values or {})
    return HTTPResponse(text, headers={"content-security-policy": policy}, content_type=HTML)


@cache
def _templates() -> Environment:
    environment = Environment(loader=FileSystemLoader(PAGES), autoescape=True)
    environment.globals["asset"] = asset
    return environment


@cache
def _assets() -> dict[str, Asset]:
    found = {name: Asset(_kind(name), (place / name).read_bytes()) for name, place in PLACES.items()}
    for name in (*OWN, *PACKED):
        packed = (PAGES / f"{name}.gz").read_bytes() if name in PACKED else None
        content = (PAGES / name).read_bytes() if packed is None else gzip.decompress(packed)
        found[name] = Asset(_kind(name), content, packed)
        found[_fingerprinted(name, content)] = Asset(_kind(name), content, packed, is_fingerprinted=True)
    return found


def _kind(name: str) -> str:
    return KINDS[Path(name).suffix]


def _fingerprinted(name: str, content: bytes) -> str:
    path = Path(name)
    return f"{path.stem}.{hashlib.sha256(content).hexdigest()[:FINGERPRINT]}{path.suffix}"


def _takes_gzip(accepted: str) -> bool:
    """Whether gzip stands there and is not refused by ``q=0``."""
    for part in accepted.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() in {"gzip", "*"}:
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
