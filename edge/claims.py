"""Reads what a token says of itself, strictly: whatever could be understood in two ways is refused."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

LARGEST_TOKEN = 4096
LEEWAY_SECONDS = 10
"""By how much identity's clock and ours may differ."""

TYPE = "at+jwt"
"""An access token (RFC 9068); a refresh or id token is none."""

REQUIRED = ("exp", "iat", "nbf", "sub", "iss", "aud", "jti", "sid")

_EXTENSIONS = ("crit", "b64", "zip")
_TIMES = ("exp", "iat", "nbf")
_NAMES = ("sub", "sid", "jti", "client_id")
_LATEST = 2**40
"""Far beyond any date; larger numbers would not fit where times are kept."""

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"[\x21-\x7e]{1,128}")
_SCOPE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{0,1024}")


class BadToken(Exception):
    """This token opens nothing. The text says why, for the log of the one who debugs it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a good token speaks for, since when and until when (seconds since the epoch)."""

    user_id: str
    session_id: str
    scopes: frozenset[str]
    expires_at: int
    issued_at: int = 0
    """Zero, for one made by hand, is before every cut: what ends a user's sessions ends this one."""

    key_id: str = ""
    """Of the key that signed the token; none, for one whom no token names."""

    is_client: bool = False
    """A service or partner in its own name, no person: then ``user_id`` is the client's id (RFC 9068, 2.2)."""


def key_named_by(header: dict[str, Any], algorithms: tuple[str, ...]) -> str:
    """The key's id. Raises :class:`BadToken` unless this is an access token, signed in a way we take."""
    key_id = header.get("kid")
    if header.get("typ") != TYPE:
        raise BadToken("not an access token")
    if header.get("alg") not in algorithms:
        raise BadToken("an algorithm that is not taken")
    if any(name in header for name in _EXTENSIONS):
        raise BadToken("asks for extensions")
    if not isinstance(key_id, str) or _KEY_ID.fullmatch(key_id) is None:
        raise BadToken("unusable key id")
    return key_id


def caller_named_by(claims: dict[str, Any], now: float, *, key_id: str = "") -> Caller:
    """Who the claims speak for. Raises :class:`BadToken`; it is not yet known whether anybody signed them."""
    for name in REQUIRED:
        if name not in claims:
            raise BadToken(f"no {name}")
    if any(type(claims[name]) is not int or not 0 <= claims[name] < _LATEST for name in _TIMES):
        raise BadToken("times must be whole numbers")
    if claims["exp"] + LEEWAY_SECONDS <= now:
        raise BadToken("expired")
    if max(claims["iat"], claims["nbf"]) > now + LEEWAY_SECONDS:
        raise BadToken("not yet valid")
    if not all(_is(_NAME, claims[name]) for name in _NAMES if name in claims):
        raise BadToken("unusable subject, session, token or client id")
    scope = claims.get("scope", "")
    if not _is(_SCOPE, scope):
        raise BadToken("unusable scope")
    is_client = claims.get("client_id") == claims["sub"]
    scopes = frozenset(scope.split())
    return Caller(claims["sub"], claims["sid"], scopes, claims["exp"], claims["iat"], key_id, is_client)


def decoded(segment: str) -> dict[str, Any]:
    """The JSON object in a segment: no member twice, no NaN. Raises :class:`BadToken`."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        value = json.loads(raw.decode(), object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except (ValueError, binascii.Error, RecursionError):
        raise BadToken("not a JSON object") from None
    if not isinstance(value, dict):
        raise BadToken("not a JSON object")
    return value


def _is(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _no_number(_: str) -> NoReturn:
    raise BadToken("not a number")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadToken("a member stands twice")
    return members
