"""A kept answer: as it travels to Redis, and as this worker holds it, ready to be given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from sanic import HTTPResponse
from sanic.compat import Header

from edge.cache.policy import directives
from edge.conditions import is_unchanged
from edge.heads import date_of

if TYPE_CHECKING:
    from edge.exchange import Exchange

OK = 200
LARGEST_BODY = 1_048_576
OVERHEAD = 2_500
"""Bytes that an entry costs beside its texts: objects, table slots and the tags' index, measured with tracemalloc."""

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade", "content-length", "server", "age", "cache-status",
}  # fmt: skip
FRESH = "kirana; hit"


class Entry(Struct, frozen=True, kw_only=True, array_like=True):
    """An answer as it was fetched. ``fetched_at`` (seconds since the epoch) is when the fetch *began*."""

    key: str
    body: bytes
    content_type: str | None
    headers: list[tuple[str, str]]
    tags: tuple[str, ...]
    fetched_at: float
    ttl: float
    while_revalidating: float
    if_error: float
    status: int = OK


class Held:
    """An entry in this worker. Moments are of the monotonic clock, so that a clock that is set moves nothing."""

    __slots__ = (
        "_etag", "_headers", "entry", "error_until", "fetched", "fresh_until", "retry_at", "revalidate_until", "size",
    )  # fmt: skip

    def __init__(self, entry: Entry, *, age: float, now: float) -> None:
        self.entry = entry
        self.fetched = now - age
        self.fresh_until = self.fetched + entry.ttl
        self.revalidate_until = self.fresh_until + entry.while_revalidating
        self.error_until = self.fresh_until + entry.if_error
        self.retry_at = 0.0
        """Until then nobody tries again to fetch a new one: the last attempt has just failed."""
        self._headers = Header(entry.headers)
        self._headers.setdefault("date", date_of(entry.fetched_at))  # of its origin: its age counts from there
        self._etag = self._headers.get("etag") if entry.status == OK else None  # who has an old one is not told "same"
        self.size = OVERHEAD + len(entry.body) + 2 * len(entry.key) + sum(map(len, entry.tags))
        self.size += sum(len(name) + len(value) for name, value in entry.headers)

    @property
    def is_of_use(self) -> float:
        """The moment after which nothing can be done with it."""
        return max(self.revalidate_until, self.error_until)

    def distrust(self, now: float) -> None:
        """What it tells of may have changed unheard: from now on it is only better than nothing."""
        self.fresh_until = min(self.fresh_until, now)
        self.revalidate_until = min(self.revalidate_until, now)

    def response(self, exchange: Exchange, now: float, status: str) -> HTTPResponse:
        """The answer, as ``Cache-Status`` says where it comes from; 304 where the client has it already.

        Built without :class:`HTTPResponse`'s own constructor, which would copy the headers name by name.
        """
        headers = self._headers.copy()
        headers["cache-status"] = status
        if now - self.fetched >= 1:
            headers["age"] = str(int(now - self.fetched))
        elif status is FRESH:
            headers["age"] = "0"
        response: HTTPResponse = HTTPResponse.__new__(HTTPResponse)
        response.asgi = False
        response.stream = None
        response._cookies = None  # noqa: SLF001 - one of the constructor's four fields
        response.headers = headers
        condition = exchange.header("if-none-match")
        if condition is not None and self._etag is not None and is_unchanged(self._etag, condition):
            response.status, response.body, response.content_type = 304, b"", None
            return response
        response.status, response.body, response.content_type = self.entry.status, self.entry.body, self._content_type
        return response

    @property
    def _content_type(self) -> str | None:
        return self.entry.content_type

    def stale_status(self, now: float) -> str:
        """As RFC 9211 §2.5 tells of a stale answer: how long ago it was fresh, in whole seconds below zero."""
        return f"{FRESH}; ttl={-max(1, int(now - self.fresh_until))}"


def is_shareable(response: object) -> bool:
    """Whether the answer is whole and tells nobody anything of their own: no stream, no cookie."""
    return (
        type(response) is HTTPResponse
        and isinstance(response.body, bytes)
        and response._cookies is None  # noqa: SLF001 - the public one would make a jar
        and "set-cookie" not in response.headers
        and "*" not in _told(response, "vary")
        and len(response.body) <= LARGEST_BODY
    )


def may_be_kept(response: HTTPResponse, *, private: bool) -> bool:
    """Only a whole success, and only where the answer itself does not say no: a partial one says ``no-store``."""
    told = _told(response, "cache-control")
    return response.status == OK and "no-store" not in told and (private or "private" not in told)


def kept_headers(response: HTTPResponse, *, private: bool, vary: bool) -> list[tuple[str, str]]:
    """The headers that belong to the answer itself; a private one says so, whatever it said before."""
    left_out = {*HOP_BY_HOP, "content-type"}
    added = [("vary", "Authorization")] if vary or private else []
    if private and "private" not in _told(response, "cache-control"):
        left_out.add("cache-control")
        added.append(("cache-control", "private, no-cache"))
    headers = [(name.lower(), str(value)) for name, value in response.headers.items()]
    return [*((name, value) for name, value in headers if name not in left_out), *added]


def _told(response: HTTPResponse, name: str) -> set[str]:
    """The names in a field that is a list, of all its lines (RFC 9110 §5.3)."""
    return directives(",".join(map(str, response.headers.getall(name, []))))
