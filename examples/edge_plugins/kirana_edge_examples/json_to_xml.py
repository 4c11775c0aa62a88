"""Answers in XML whoever likes that better than JSON; the shop behind it knows nothing of it.

Members become elements, members of a list ``item``, ``null`` an empty element with ``nil="true"``. A name that is none
in XML stands in the attribute of an element ``member``. Characters that XML cannot hold become U+FFFD. Problems stay
JSON documents: they are made outside of this place.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from msgspec import Meta

from edge.plugins import Options, Plugin, Refused

if TYPE_CHECKING:
    from edge.plugins import Handler, Proceed, Request, Response, Settings

JSON = "application/json"
KINDS = ("application/xml", "text/xml")
DEEPEST = 64
DIGESTS = ("content-digest", "repr-digest", "digest", "content-md5")
OK = 200
NOT_MODIFIED = 304

_NAME = re.compile(r"(?!xml)[A-Za-z_][A-Za-z0-9_.-]*", re.IGNORECASE)
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)
_TAG = re.compile(r'(W/)?"([^"]*)"')
_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class XmlOptions(Options, frozen=True, kw_only=True):
    """What the outermost element is called."""

    root: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}(?!\n)$")] = "answer"


def make(options: XmlOptions, settings: Settings) -> Handler:
    """The stage of one route."""
    del settings

    async def json_to_xml(request: Request, proceed: Proceed) -> Response:
        kind = preferred(", ".join(request.headers.getall("accept", [])))
        if kind is None:
            return _varying(await proceed(request))
        known = request.headers.popall("if-none-match", [])  # these name representations in XML
        response = _varying(await proceed(request))
        if not _is_json(response):
            return response
        body = await response.read()
        converted = _converted(body, options.root) if body else b""  # an answer to HEAD may have none
        response.replace(converted, content_type=f"{kind}; charset=utf-8")
        for name in DIGESTS:
            response.headers.popall(name, None)
        _tag(response, known, is_read=request.method in {"GET", "HEAD"})
        return response

    return json_to_xml


def preferred(accept: str) -> str | None:
    """The XML type that the client likes better than JSON, ``None`` if JSON will do."""
    wanted: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        wanted[kind] = float(quality) if _QUALITY.fullmatch(quality) else 0.0
    best = max(KINDS, key=lambda kind: wanted.get(kind, 0.0))
    json = wanted.get(JSON, wanted.get("application/*", wanted.get("*/*", 0.0)))
    return best if wanted.get(best, 0.0) > json else None


def to_xml(value: Any, *, root: str) -> bytes:
    """A whole document. Raises ``ValueError`` for what lies deeper than 64 levels."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _write(parts, root, value, 0)
    return "".join(parts).encode()


def _converted(body: bytes, root: str) -> bytes:
    try:
        orjson.loads(body)  # refuses what is not JSON, which the other one is lax about
        return to_xml(json.loads(body, parse_int=str, parse_float=str), root=root)  # numbers, as they are written
    except (ValueError, RecursionError):
        raise Refused("upstream.unusable", "The answer cannot be told in XML.") from None


def _write(parts: list[str], name: str, value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("this lies too deep")
    is_name = _NAME.fullmatch(name) is not None
    tag = name if is_name else "member"
    opening = tag if is_name else f'member name="{_text(name)}"'
    if value is None:
        parts.append(f'<{opening} nil="true"/>')
        return
    parts.append(f"<{opening}>")
    if isinstance(value, dict):
        for inner, part in value.items():
            _write(parts, inner, part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _write(parts, "item", part, depth + 1)
    else:
        parts.append(_text(value if isinstance(value, str) else orjson.dumps(value).decode()))
    parts.append(f"</{tag}>")


def _text(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text).translate(_ESCAPES)


def _is_json(response: Response) -> bool:
    return response.content_type.partition(";")[0].strip() == JSON and "content-encoding" not in response.headers


def _varying(response: Response) -> Response:
    """Caches between here and the client must keep the two apart."""
    told = ",".join(response.headers.getall("vary", []))
    named = [part.strip() for part in told.split(",") if part.strip()]
    if "*" not in named and "accept" not in (name.lower() for name in named):
        response.headers["vary"] = ", ".join([*named, "Accept"])
    return response


def _tag(response: Response, known: list[str], *, is_read: bool) -> None:
    """The other representation has a tag of its own, so that neither is ever taken for the other.

    Whoever reads it and has it already (any at all, by ``*``) is told so.
    """
    tag = _TAG.fullmatch(response.headers.get("etag", ""))
    if tag is None:
        return
    response.headers["etag"] = f'{tag[1] or ""}"{tag[2]}-xml"'
    has_it = known == ["*"] or f"{tag[2]}-xml" in {opaque for field in known for _, opaque in _TAG.findall(field)}
    if has_it and is_read and response.status == OK:
        response.status = NOT_MODIFIED
        response.replace(b"", content_type="")


plugin = Plugin(
    place="around the target", options=XmlOptions, make=make, problems=("upstream.unusable",), media_types=KINDS
)
