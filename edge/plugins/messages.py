"""A request and an answer as plugins see them: plain objects, which a test can make by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sanic import HTTPResponse
from sanic.compat import Header

from edge.plugins.fields import check_fields, check_framing
from edge.problems import PROBLEMS, Rejected
from edge.upstreams.delivery import Delivered

MOST_BYTES = 1_000_000

Headers = Header
"""Header fields: names in any case, the first value by ``[]``, all of them by ``getall``."""


class Refused(Rejected):
    """Raised by a plugin that says no: becomes the problem document of ``code``, which must stand in ``/problems``.

    ``members`` are added to the document. Raises ``ValueError`` for a code that there is not, and for header fields
    that no plugin may write.
    """

    def __init__(self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        if code not in PROBLEMS:
            raise ValueError(f"there is no problem '{code}'")
        super().__init__(code, detail, headers=headers, **members)
        check_fields(Header(self.headers))
        check_framing(Header(self.headers), {}, size=None)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. Limits, idempotency keys and everything that belongs to somebody go by ``user_id``.

    With ``is_client`` that is a service or partner in its own name, no person: no cart and no order can be its.
    """

    user_id: str
    scopes: frozenset[str] = frozenset()
    is_client: bool = False


@dataclass(slots=True, kw_only=True)
class Request:
    """What was asked. ``headers`` may be changed, for what comes after; ``caller`` too, before authentication.

    Changes of anything else are not heard. ``body`` is as it came; ``None`` where the route passes it on unread.
    ``route`` is the route's name, ``variables`` are those of its path.
    """

    method: str = "GET"
    path: str = "/"
    query: str = ""
    route: str = ""
    request_id: str = ""
    address: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    headers: Headers = field(default_factory=Headers)
    body: bytes | None = b""
    caller: Caller | None = None


class Response:
    """An answer on its way to the client: change ``status`` and ``headers``, ``read`` and ``replace`` its body.

    ``answer`` is the same as the edge sends it, which is no plugin's concern.
    """

    __slots__ = ("answer",)

    def __init__(
        self,
        body: bytes = b"",
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.answer: HTTPResponse = HTTPResponse(body, status=status, content_type=content_type)
        self.answer.headers["cache-control"] = "no-store"
        for name, value in (headers or {}).items():
            self.answer.headers[name] = value

    @classmethod
    def around(cls, answer: HTTPResponse) -> Response:
        """The edge's own answer, as a plugin sees it."""
        made = cls.__new__(cls)
        made.answer = answer
        return made

    @property
    def status(self) -> int:
        """The status code."""
        return self.answer.status

    @status.setter
    def status(self, status: int) -> None:
        self.answer.status = status

    @property
    def headers(self) -> Headers:
        """The header fields, names in any case. What the edge adds to every answer comes later."""
        headers: Headers = self.answer.headers
        return headers

    @property
    def content_type(self) -> str:
        """The media type with its parameters, in lower case; empty where there is none."""
        return str(self.headers.get("content-type") or self.answer.content_type or "").lower()

    async def read(self, most: int = MOST_BYTES) -> bytes:
        """The body. One that is still on its way is waited for, and has then at most ``most`` bytes (else 502)."""
        if isinstance(self.answer, Delivered):
            self.answer = await self.answer.gathered(most)
        return self.answer.body or b""

    def replace(self, body: bytes, *, content_type: str) -> None:
        """Put another body in the place of this one; other headers about the old one are the plugin's to change."""
        headers = self.headers
        for name in ("content-length", "content-type"):
            headers.pop(name, None)
        answer = HTTPResponse(body, status=self.status, content_type=content_type)
        answer.headers = headers
        self.answer = answer
