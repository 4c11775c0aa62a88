"""The log of all processes as one book: searched by bytes, told as the story of a request, without Elasticsearch."""

from kirana.logbook.following import follow
from kirana.logbook.query import Query
from kirana.logbook.reading import entries
from kirana.logbook.times import parse_ago

__all__ = ["Query", "entries", "follow", "parse_ago"]
