"""Reads the one kind of body that is no JSON: the form of OAuth's token endpoint (RFC 6749, appendix B)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from edge.problems import Rejected

MOST_FIELDS = 100


def read_form(raw: bytes) -> dict[str, Any]:
    """Fields by name: text, or the list of all texts where a name stands more than once. Raises :class:`Rejected`.

    A field without a value counts as left out (RFC 6749 §3.2).
    """
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise Rejected("request.malformed", "The body is not a form in UTF-8 of at most 100 fields.") from None
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            former = fields[name]
            fields[name] = [*(former if isinstance(former, list) else [former]), value]
        else:
            fields[name] = value
    return {name: value for name, value in fields.items() if value != ""}
