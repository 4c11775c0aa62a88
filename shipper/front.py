"""Reads what nginx answered itself, as no edge did: such a request is in no metric of an edge, only in nginx's lines.

They are read apart from what is shipped: an absent Elasticsearch stops that, and then it matters most what clients get.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Final, NamedTuple

from shipper.tail import CHUNK, Tail

FAULTS: Final = ("500", "503", "504")
"""What it answers for a fault of ours; its 501 and 505 are of requests that no server would understand."""

OTHER: Final = "other"
_ROUTES: Final = {(b"POST", b"/api/cart/checkout"): "checkout", (b"POST", b"/api/orders"): "place_order"}
ROUTES: Final = (*_ROUTES.values(), OTHER)
"""nginx knows no routes: those by which an order is asked for, as they have an objective of their own, and the rest."""

_LOOKS: Final = b"/health/"
"""Whoever only looks how the shop is; the edge does not count them either."""

_BEGIN: Final = re.compile(rb'{"@timestamp":"[^"]*","message":"front\.answered",')
_HEAD_BYTES: Final = 128
_LINE: Final = re.compile(
    rb'"message":"front\.answered",.*?"method":"([^"]*)"},"response":{"status_code":([45]\d\d)}},"url":{"path":"([^"]*)'
)
"""As docker/nginx/spooled.conf writes it. In a text of a client's no quote stands without a backslash before it."""


class Answered(NamedTuple):
    """What is counted together; ``status`` is nginx's."""

    route: str
    status: str


def answered(tail: Tail) -> Counter[Answered]:
    """What nginx has told in its file since the last time; nothing of any other file. Raises ``OSError``.

    A file is known by its first line, so nothing is counted again that is brought back among other lines.
    """
    found: Counter[Answered] = Counter()
    if not _BEGIN.match(os.pread(tail.file, _HEAD_BYTES, 0)):
        return found
    while lines := _uncounted(tail):
        tail.place.counted += len(lines)
        found.update(
            Answered(_ROUTES.get((method, path), OTHER), status.decode())
            for method, status, path in _LINE.findall(lines)
            if not path.startswith(_LOOKS)
        )
    return found


def _uncounted(tail: Tail) -> bytes:
    data = os.pread(tail.file, CHUNK, tail.place.counted)
    return data[: data.rfind(b"\n") + 1]
