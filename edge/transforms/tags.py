"""Entity tags where JSON is changed: another table shows something else, so it must not go by the same tag.

Tags of the shop's own answers have the changes in their hash. Those of a service that speaks HTTP get a mark, which is
taken off again before the service hears of them.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from edge.conditions import tag_with, tags_without

if TYPE_CHECKING:
    from sanic.compat import Header

    from edge.transforms.policy import Changes

ANY_MARK = re.compile(r'-kirana-[0-9a-f]{8}(?=")')


def mark_of(changes: Changes | None) -> str:
    """Names what is changed in answers; empty where their JSON is not."""
    if changes is None or changes.json is None:
        return ""
    return f"-kirana-{sha256(msgspec.json.encode(changes, order='deterministic')).hexdigest()[:8]}"


def for_service(headers: Header, mark: str, *, reads: bool) -> None:
    """Let the request's conditions name tags as the service does.

    Who reads has only what was changed in the same way. Who writes names a state, in whatever way it was shown.
    """
    known = headers.popall("if-none-match", []) if reads and mark else []
    if own := tags_without(mark, ", ".join(known)):
        headers["if-none-match"] = own
    for name in ("if-match",) if reads else ("if-match", "if-none-match"):
        for value in headers.popall(name, []):
            headers.add(name, ANY_MARK.sub("", value))


def for_client(headers: Header, mark: str) -> None:
    """Mark the answer's tag. What is no tag is left out."""
    told = headers.popall("etag", [])
    if tag := tag_with(mark, ", ".join(told)):
        headers["etag"] = tag
