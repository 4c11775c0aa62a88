"""Reads query strings, and names the list that a cursor belongs to."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from edge.problems import Rejected

Query = list[tuple[str, str]]
MOST_PARAMETERS = 100


def parsed_query(text: str) -> Query:
    """The query's parameters in order. Raises :class:`Rejected` where it is no UTF-8 or far too long."""
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="strict")
    except ValueError:
        raise Rejected(
            "request.malformed", f"The query must be percent-encoded UTF-8 of at most {MOST_PARAMETERS} parameters."
        ) from None


def page_scope(route_name: str, query: Query) -> str:
    """Names a list: the same route with the same filters and order."""
    return f"{route_name}?{urlencode(sorted(part for part in query if part[0] not in {'cursor', 'limit'}))}"
