"""Answers that are not there yet when the stages are done: they are delivered after the last of them."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sanic import HTTPResponse
from sanic.http import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanic import Request

LOOK_SECONDS = 1.0
"""So often it is asked whether what lasts is still wanted, and still allowed."""

GRACE_SECONDS = 1.0
"""The connection's own clocks end what ours should have ended before."""


class Delivered(HTTPResponse):
    """A response whose head passes through the stages like any other, while its body is still on the way.

    A stage that wants the body must ask for it (:meth:`gathered`); one that drops the answer need do nothing.
    """

    @abstractmethod
    async def deliver(self, request: Request) -> None:
        """Send the whole to the client. The connection is cut when that cannot be done to the end."""

    async def gathered(self, limit: int) -> HTTPResponse:
        """The same answer with its body in memory. Raises ``Unusable`` when it has more than ``limit`` bytes."""
        del limit
        return self


def request_of(response: HTTPResponse) -> dict[str, str]:
    """The field that a line about the delivery of this answer is found by: nothing is bound any more by then."""
    known = response.headers.get("x-request-id")
    return {} if known is None else {"http.request.id": known}


@contextmanager
def patience(request: Request, *, upload: float | None = None, answer: float) -> Iterator[None]:
    """Let the connection's clocks allow as many seconds for a body to come and between two parts of an answer."""
    protocol: Any = request.protocol
    before = protocol.request_timeout, protocol.response_timeout
    if upload is not None:
        protocol.request_timeout = max(before[0], upload + GRACE_SECONDS)
    protocol.response_timeout = max(before[1], answer + GRACE_SECONDS)
    try:
        yield
    finally:
        protocol.request_timeout, protocol.response_timeout = before


def cut(request: Request) -> None:
    """End the connection at once, so that nobody takes half an answer for a whole one."""
    stream: Any = request.stream
    if stream is not None:
        stream.keep_alive = False
        stream.stage = Stage.FAILED
        stream.request_body = None
    transport: Any = request.transport
    if transport is not None:
        transport.abort()
