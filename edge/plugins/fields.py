"""Which header fields a plugin may write: what can be written at all, and is not said of a connection or a body."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge.upstreams.headers import FRAMING, HOP_BY_HOP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sanic.compat import Header

    Told = Mapping[str, Sequence[str]]

NOT_THEIRS = HOP_BY_HOP | FRAMING
_WRITABLE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def told_of_framing(headers: Header) -> Told:
    """All that these fields say of connection and body."""
    return {name: [str(value) for value in headers.getall(name)] for name in NOT_THEIRS if name in headers}


def check_fields(headers: Header) -> None:
    """Raises ``ValueError`` for a field that cannot be written."""
    for name, value in headers.items():
        if _NAME.fullmatch(name) is None or _WRITABLE.fullmatch(str(value)) is None:
            raise ValueError(f"the header field {name[:40]!r} cannot be written")


def check_framing(headers: Header, came: Told, *, size: int | None) -> None:
    """Raises ``ValueError`` for what an answer that said what ``came`` must not say of connection and body now.

    Less is no lie, nor is the ``size`` of a body that is at hand; and to end the connection is everybody's right.
    """
    true = {"connection": ["close"]} if size is None else {"connection": ["close"], "content-length": [str(size)]}
    for name, values in told_of_framing(headers).items():
        if values not in (came.get(name), true.get(name)):
            raise ValueError(f"what '{name}' says is not the plugin's to say")
