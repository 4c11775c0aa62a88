"""The log as Elasticsearch has it: of all processes, long after they and their spools are gone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from elasticsearch import ApiError, Elasticsearch, TransportError

from kirana.logbook import entry as of
from kirana.logbook.elastic_faults import fault_of, no_lines
from kirana.logbook.elastic_search import KEPT, search
from kirana.logbook.entry import Entry
from kirana.logbook.query import Query
from shipper.elastic import connect
from shipper.settings import Destination
from shipper.setup.elasticsearch import STREAMS

MOST_LINES: Final = 20_000
"""Lines that are looked at for one question: nobody reads more, and a forgotten filter must not fetch a month."""

_SHORT = re.compile(r"(.+T\d\d:\d\d:\d\d\.)(\d{1,5})Z")
_TRUTHS = {"true": True, "false": False}

Hit = dict[str, Any]


class ElasticArchive:
    """An :class:`~kirana.logbook.spools.Archive`. Its methods raise :class:`~kirana.stack.faults.StackFault`.

    ``shortfalls`` are sentences about what could not be looked at.
    """

    def __init__(self, client: Elasticsearch, place: Destination, *, most_lines: int = MOST_LINES) -> None:
        self.shortfalls: list[str] = []
        self._client = client
        self._place = place
        self._most_lines = most_lines

    def found(self, query: Query, *, longest: int | None = None) -> Iterator[Entry]:
        """See :class:`~kirana.logbook.spools.Archive`; of ``most_lines`` at most, and then it is said so."""
        most, read = longest or self._most_lines, 0
        seen: set[str] = set()
        for page in self._pages(query, size=most, is_by_length=longest is not None):
            # what was sent again after a rollover is there twice
            fresh = {hit["_id"]: hit for hit in page if hit["_id"] not in seen}
            seen.update(fresh)
            hits = list(fresh.values())
            lines = in_order(hits) if longest is None else [written(hit["_source"]) for hit in hits]
            for line in lines:
                yield from filter(query.wants, of.of_each_request(line) if query.names_requests else (line,))
            read += len(page)
            if read >= most:
                if longest is None:
                    self._say(_too_many(read, of.stamp_of(written(page[-1]["_source"]))))
                return

    def first_moment(self) -> str | None:
        """See :class:`~kirana.logbook.spools.Archive`."""
        first = next(self._pages(Query(), size=1), [])
        return of.stamp_of(written(first[0]["_source"])) if first else None

    def _pages(self, query: Query, *, size: int, is_by_length: bool = False) -> Iterator[list[Hit]]:
        """All of one moment, so that no line comes twice or is left out while others are written."""
        point = self._ask(
            self._client.open_point_in_time, index=STREAMS, keep_alive=KEPT, allow_partial_search_results=True
        )["id"]
        after = None
        try:
            while True:
                asked = search(query, point, is_by_length=is_by_length, size=size, after=after)
                answer = self._ask(self._client.search, **asked)
                self._look_at(answer)
                point, page = answer.get("pit_id", point), answer["hits"]["hits"]
                yield page
                if len(page) < asked["size"]:
                    return
                after = page[-1]["sort"]
        finally:
            with suppress(ApiError, TransportError):  # it ends by itself
                self._client.close_point_in_time(id=point)

    def _ask(self, question: Callable[..., Any], **asked: Any) -> dict[str, Any]:
        try:
            body: dict[str, Any] = question(**asked).body
        except (ApiError, TransportError) as fault:
            raise fault_of(fault, self._place) from None
        return body

    def _look_at(self, answer: dict[str, Any]) -> None:
        shards = answer["_shards"]
        if not shards["total"]:
            raise no_lines(self._place)
        if shards["failed"] or answer["timed_out"]:
            self._say(
                f"Elasticsearch could not look at everything: {shards['failed']} of {shards['total']} shards failed. "
                "Lines may be missing here."
            )

    def _say(self, sentence: str) -> None:
        if sentence not in self.shortfalls:
            self.shortfalls.append(sentence)


def archive_at(place: Destination) -> ElasticArchive:
    """The log there. Nothing is asked yet. A question does no harm twice: each address is tried once."""
    client = connect(place, connections=1)
    return ElasticArchive(client.options(max_retries=len(place.urls) - 1), place)


def in_order(hits: Sequence[Hit]) -> list[Entry]:
    """The lines in the order of time, and those of one moment and process as they stood in its file.

    Elasticsearch orders by milliseconds. The shipper's ids end with the line's place in its file.
    """
    lines = [(written(hit["_source"]), hit["_id"]) for hit in hits]
    lines.sort(key=lambda pair: (of.stamp_of(pair[0]), len(pair[1]), pair[1]))
    return [line for line, _ in lines]


def written(source: dict[str, Any]) -> Entry:
    """The line as its process wrote it: without what the shipper said of its stream.

    Where Elasticsearch keeps no document but makes it anew of its fields (``logsdb`` under an Enterprise licence), a
    moment has milliseconds, and a label that was true is a text.
    """
    line = {name: value for name, value in source.items() if name != "data_stream"}
    if (found := _SHORT.fullmatch(of.stamp_of(line))) is not None:
        line["@timestamp"] = f"{found[1]}{found[2]:0<6}Z"
    if isinstance(labels := line.get("labels"), dict):
        line["labels"] = {name: _TRUTHS.get(str(value), value) for name, value in labels.items()}
    return line


def _too_many(read: int, last: str) -> str:
    return (
        f"Only the first {read:,} lines were looked at, up to {last[:19]}: "
        "ask for less of them (--service, --level), of a shorter time, or from there on (--since)."
    )
