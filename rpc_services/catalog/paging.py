"""Where a page of a list goes on, so that pages neither skip nor repeat while products come and go."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from rpc_services.catalog.domain import invalid
from shared.contracts.catalog import Sort
from shared.contracts.refusals import InvalidRequest

LARGEST_ID = 2**63 - 1

Match = Literal["all", "words", "likeness"]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a list is narrowed to. Prices are minor units of ``currency``."""

    category_id: int | None = None
    words: str | None = None
    currency: str = "EUR"
    min_price: int | None = None
    max_price: int | None = None
    in_stock: bool | None = None


class Position(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """The last product of a page: where the next page begins. ``key`` is what its order compares before the id.

    Without an id it is the start of the list.
    """

    order: str
    match: Match = "all"
    key: str | int | float | None = None
    id: int | None = None


_KEY_TYPES: Mapping[str, type] = {"id": type(None), "newest": type(None), "name": str, "price": int, "-price": int}


def order_of(sort: Sort | None, words: str | None) -> str:
    """The order of a list. Relevance needs words; without sort and words products come in the order of their ids."""
    if sort == "relevance" or sort is None:
        return "relevance" if words else "id"
    return sort


def start_of(order: str, words: str | None) -> Position:
    """Before the first product."""
    return Position(order=order, match="words" if words else "all")


def seal(position: Position) -> str:
    """The position as URL-safe text; the edge signs it."""
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def unseal(cursor: str, order: str) -> Position:
    """The inverse of :func:`seal`. Raises :class:`InvalidRequest` for anything that ``order`` cannot go on from."""
    try:
        position = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=Position)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise _bad_cursor() from None
    if position.order != order or not _is_whole(position):
        raise _bad_cursor()
    return position


def _bad_cursor() -> InvalidRequest:
    return invalid("/cursor", "This cursor does not belong to this list.")


def _is_whole(position: Position) -> bool:
    key = position.key
    in_range = "\0" not in key if isinstance(key, str) else abs(key or 0) <= LARGEST_ID
    return (
        in_range
        and isinstance(key, _KEY_TYPES.get(position.order, (int, float)))
        and position.id is not None
        and 0 <= position.id <= LARGEST_ID
    )
