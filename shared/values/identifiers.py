"""Identifiers: time-ordered UUIDs inside, short random numbers for people."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from secrets import randbelow
from uuid import UUID

import uuid_utils

NewId = Callable[[], str]
"""A source of ids: a collaborator, so that tests can choose them."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SANE_TOKEN = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def new_id() -> str:
    """A UUIDv7 (RFC 9562): unique, and sortable by the time it was made."""
    return str(uuid_utils.uuid7())


def first_id_at(moment: datetime) -> str:
    """What sorts before every id that was made at that moment or later, and after every earlier one."""
    milliseconds = f"{int(moment.timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}"


def is_id(text: str) -> bool:
    """Whether this can be the id of anything here; asking a database about other text would be a fault."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def new_order_number() -> str:
    """Ten characters of Crockford's base 32, random, so that nobody can count the shop's orders."""
    return "".join(_ALPHABET[randbelow(32)] for _ in range(10))


def is_sane_token(text: str) -> bool:
    """Whether a client's id is harmless in a log line and in a header: at most 128 safe characters."""
    return _SANE_TOKEN.fullmatch(text) is not None
