"""The answer to whoever is not let in, written beforehand: refusing must cost next to nothing."""

from __future__ import annotations

from itertools import cycle

import orjson
from sanic import HTTPResponse

from edge.problems import MEDIA_TYPE, PROBLEMS, problem_document
from shared.contracts.refusals import Unavailable

DETAIL = "Too many requests are under way right now. Nothing was changed; try again shortly."
SHED = "shed at the door: as many requests for {upstream} are under way as can be served well"
"""Why, for the log."""

STOOD_IN = "a kept page stands in: as many requests for {upstream} are under way as can be served well"

_SLOT = "\0"
_seconds = cycle(("1", "2", "3"))
"""Those who are refused together are not to come back together."""


def _written() -> list[bytes]:
    """The document, cut where the path and the request's id go."""
    problem = PROBLEMS[Unavailable.code]
    document = problem_document(problem, detail=DETAIL, instance=_SLOT, request_id=_SLOT)
    return orjson.dumps(document).split(orjson.dumps(_SLOT))


_BEFORE, _BETWEEN, _AFTER = _written()


def seconds_to_wait() -> str:
    """What ``Retry-After`` says to the next who is refused."""
    return next(_seconds)


def refused_body(path: str, request_id: str) -> bytes:
    """The problem document."""
    return b"".join((_BEFORE, orjson.dumps(path), _BETWEEN, orjson.dumps(request_id), _AFTER))


def refusal(path: str, request_id: str, *, closing: bool) -> HTTPResponse:
    """503 with ``Retry-After``. ``closing`` ends the connection, for a body that will not be read."""
    body = refused_body(path, request_id)
    headers = {"cache-control": "no-store", "retry-after": seconds_to_wait()}
    if closing:
        headers["connection"] = "close"
    return HTTPResponse(body, 503, headers, MEDIA_TYPE)
