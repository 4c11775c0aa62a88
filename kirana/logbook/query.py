"""Which lines are wanted, and what can be looked for in their bytes before anything is parsed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from kirana.logbook.entry import (
    LEVELS,
    OF_REQUESTS,
    Entry,
    action_of,
    duration_of,
    field,
    instance_of,
    rank,
    rank_of,
    stamp_of,
)
from kirana.logbook.times import stamp

SHORTEST_USER = 8
"""So many first characters of a user's id will do."""

_WITH_TIMES = (*sorted(OF_REQUESTS), "rpc.call", "event.handled")
_WITH_STATUS = (*sorted(OF_REQUESTS), "edge.turned_away")


@dataclass(frozen=True, kw_only=True)
class Query:
    """``None`` means any. ``level`` is the least one, ``status`` is ``503`` or ``5xx``, ``text`` stands anywhere.

    ``part`` is of a request's id; of ``requests``, of ``actions`` and of ``words`` (which stand anywhere as a whole
    value) one will do. With ``common``, lines of requests are wanted only where they are called so.
    """

    request: str | None = None
    part: str | None = None
    requests: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    common: frozenset[str] = frozenset()
    trace: str | None = None
    service: str | None = None
    level: str | None = None
    route: str | None = None
    status: str | None = None
    user: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    slower: timedelta | None = None

    @property
    def names_requests(self) -> bool:
        """Whether it asks for the lines of certain requests."""
        return bool(self.request or self.requests or self.part)

    def wants(self, entry: Entry) -> bool:
        """Whether ``entry`` is one of them; of its ``text`` the bytes have told."""
        return self._is_in_time(entry) and self._is_of(entry) and self._is_such(entry)

    def _is_in_time(self, entry: Entry) -> bool:
        at = stamp_of(entry)
        return (self.since is None or at >= stamp(self.since)) and (self.until is None or at <= stamp(self.until))

    def _is_of(self, entry: Entry) -> bool:
        return (
            self._is_of_request(field(entry, "http.request.id"))
            and (not self.actions or action_of(entry) in self.actions)
            and (not self.common or field(entry, "http.request.id") is None or action_of(entry) in self.common)
            and self.trace in {None, field(entry, "trace.id")}
            and (self.service is None or self.service in {field(entry, "service.name"), instance_of(entry)})
            and (self.user is None or _is_user(str(field(entry, "user.id") or ""), self.user))
        )

    def _is_of_request(self, id_: object) -> bool:
        return (
            (self.request is None or self.request == id_)
            and (not self.requests or id_ in self.requests)
            and (self.part is None or (isinstance(id_, str) and self.part in id_))
        )

    def _is_such(self, entry: Entry) -> bool:
        return (
            (self.level is None or rank_of(entry) >= rank(self.level))
            and self.route in {None, field(entry, "labels.route"), field(entry, "labels.method")}
            and (self.status is None or _has_status(field(entry, "http.response.status_code"), self.status))
            and (self.slower is None or (duration_of(entry) or timedelta()) >= self.slower)
        )

    def needles(self) -> tuple[bytes, ...]:
        """Bytes of which every wanted line has at least one; the most telling ones that there are, or none."""
        if one := self.request or self.part or self.trace or self.user:
            return (_inside(one),)
        if self.requests:
            return tuple(_inside(each) for each in self.requests)
        if self.route:
            return (_whole(self.route),)
        return self._less_telling()

    def _less_telling(self) -> tuple[bytes, ...]:
        if self.status:
            return tuple(_whole(action) for action in _WITH_STATUS)
        if named := self.actions or self.words:
            return tuple(_whole(each) for each in named)
        if self.level and rank(self.level) >= rank("warning"):
            return tuple(_whole(level) for level in LEVELS[rank(self.level) :])
        if self.slower is not None:
            return tuple(_whole(action) for action in _WITH_TIMES)
        if self.text and self.text != self.text.lower():
            return (_inside(self.text),)
        return (_whole(self.service),) if self.service else ()


def text_in(query: Query, line: bytes) -> bool:
    """Whether the wanted text stands in the line. Capitals matter only where some were typed."""
    if not query.text:
        return True
    return _inside(query.text) in (line if query.text != query.text.lower() else line.lower())


def _inside(text: str) -> bytes:
    """As it stands inside of JSON's quotes."""
    return orjson.dumps(text)[1:-1]


def _whole(text: str) -> bytes:
    return orjson.dumps(text)


def _is_user(known: str, wanted: str) -> bool:
    return known == wanted or (len(wanted) >= SHORTEST_USER and known.startswith(wanted))


def _has_status(status: object, wanted: str) -> bool:
    return isinstance(status, int) and (str(status) == wanted or f"{status // 100}xx" == wanted.lower())
