"""Marks where a page of orders ended. The edge seals the mark, so here it only has to be readable."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from rpc_services.order.domain import may_be_an_id
from shared.contracts.refusals import InvalidRequest


class _Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    before: str


def write_cursor(order_id: str) -> str:
    """The page goes on with orders older than this one."""
    return urlsafe_b64encode(msgspec.json.encode(_Mark(order_id))).decode()


def read_cursor(cursor: str | None) -> str | None:
    """The order behind which to go on. Raises :class:`InvalidRequest`."""
    if cursor is None:
        return None
    try:
        mark = msgspec.json.decode(urlsafe_b64decode(cursor), type=_Mark)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise _bad_cursor() from None
    if not may_be_an_id(mark.before):
        raise _bad_cursor()
    return mark.before


def _bad_cursor() -> InvalidRequest:
    return InvalidRequest(errors=[{"pointer": "/cursor", "detail": "This is not a cursor of this list."}])
