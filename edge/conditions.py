"""Conditional requests (RFC 9110 §13): entity tags that carry a version, and what clients say about them."""

from __future__ import annotations

import re
from hashlib import sha256

from edge.problems import Rejected

_TAG = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"'
_ONE = re.compile(_TAG)
_LIST = re.compile(rf"(?:\s*,)*\s*{_TAG}(?:\s*,(?:\s*{_TAG})?)*")
"""Empty elements count for nothing (RFC 9110 §5.6.1): a header sent twice, once with no value, has one."""

_VERSIONED = re.compile(r"(0|[1-9][0-9]{0,17})(?:-[0-9a-f]{16}(0|[1-9a-f][0-9a-f]{0,14})|-[0-9a-f]+)?")
"""The version, the hash in sixteen digits, and in those that follow the figure. Digits of one kind, since edges that
know nothing of the figure take them all for the hash."""


def entity_tag(body: bytes, *, version: int | None, beside: int | None = None, mark: str = "") -> str:
    """A strong tag. With a version, ``If-Match`` can name it; the hash tells apart what changes without one (stock).

    ``beside`` is the figure that does so, for who would write it. ``mark`` names what becomes of the body later.
    """
    digest = sha256(body + mark.encode()).hexdigest()[:16]
    if version is None:
        return f'"{digest}"'
    return f'"{version}-{digest}"' if beside is None else f'"{version}-{digest}{beside:x}"'


def tag_with(mark: str, tag: str) -> str | None:
    """The tag, weak or strong as it was, of another representation; ``None`` for what is no tag."""
    known = _ONE.fullmatch(tag.strip())
    return f'{known[1] or ""}"{known[2]}{mark}"' if known else None


def tags_without(mark: str, if_none_match: str) -> str | None:
    """Those with this mark, as they were before; ``None`` where there is none, or the header is malformed."""
    told = if_none_match.strip()
    if told == "*":
        return told
    if _LIST.fullmatch(told) is None:
        return None
    marked = [tag for tag in _ONE.finditer(told) if tag[2].endswith(mark)]
    return ", ".join(f'{tag[1] or ""}"{tag[2].removesuffix(mark)}"' for tag in marked) or None


def is_unchanged(tag: str, if_none_match: str | None) -> bool:
    """Whether the client has this already (weak comparison, RFC 9110 §8.8.3.2). A malformed header counts as absent."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    opaque = tag.removeprefix("W/")
    return _LIST.fullmatch(if_none_match.strip()) is not None and any(
        f'"{match[2]}"' == opaque for match in _ONE.finditer(if_none_match)
    )


def expected_version(if_match: str | None) -> int | None:
    """The version the client wants to change, ``None`` for any. Raises :class:`Rejected` (malformed, or never ours)."""
    if if_match is None or if_match.strip() == "*":
        return None
    tag = _ONE.fullmatch(if_match.strip())
    if tag is None:
        raise Rejected(
            "request.invalid",
            "If-Match must be '*' or one entity tag in quotes.",
            errors=[{"pointer": "/If-Match", "detail": "Send the ETag of the resource just as you got it."}],
        )
    version = _VERSIONED.fullmatch(tag[2])
    if tag[1] or version is None:
        raise Rejected("version.stale", "If-Match names no version of this resource.")
    return int(version[1])


def seen_beside_version(if_match: str | None) -> int | None:
    """The figure in the tag of a request whose version was read; ``None`` where it tells none."""
    tag = _ONE.fullmatch((if_match or "").strip())
    version = _VERSIONED.fullmatch(tag[2]) if tag else None
    return int(version[2], 16) if version and version[2] else None
