"""Judges access tokens: only what identity itself signed, for us, for now, and for this purpose, counts."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt

from edge.keys import ALGORITHM, KeyRing

LARGEST_TOKEN = 4096
LEEWAY_SECONDS = 10
CACHED_VERDICTS = 10_000
REQUIRED_CLAIMS = ["exp", "iat", "nbf", "sub", "iss", "aud", "jti", "sid"]

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BadToken(Exception):
    """This token opens nothing. The text says why, for the log of the one who debugs it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a good token speaks for, and until when (seconds since the epoch)."""

    user_id: str
    session_id: str
    scopes: frozenset[str]
    expires_at: int


class Verifier:
    """Checks a token once, then remembers the verdict (by hash, never the token) until it expires."""

    def __init__(self, *, keys: KeyRing, issuer: str, audience: str, now: Callable[[], float]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self._verdicts: OrderedDict[bytes, Caller] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """Who the token speaks for. Raises :class:`BadToken`, or ``NoKeys`` while no token can be judged."""
        if len(token) > LARGEST_TOKEN or _FORM.fullmatch(token) is None:
            raise BadToken("not a compact token")
        fingerprint = sha256(token.encode()).digest()
        caller = self._verdicts.get(fingerprint)
        if caller is None:
            caller = await self._judge(token)
            self._remember(fingerprint, caller)
        if caller.expires_at + LEEWAY_SECONDS <= self._now():
            self._verdicts.pop(fingerprint, None)
            raise BadToken("expired")
        return caller

    async def _judge(self, token: str) -> Caller:
        header, payload, _ = token.split(".")
        key = await self._keys.find(_key_id(_plain_object(header)))
        if key is None:
            raise BadToken("unknown key")
        claims = _plain_object(payload)
        try:
            jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED_CLAIMS, "strict_aud": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as fault:
            raise BadToken(type(fault).__name__) from None
        return _caller(claims)

    def _remember(self, fingerprint: bytes, caller: Caller) -> None:
        self._verdicts[fingerprint] = caller
        if len(self._verdicts) > CACHED_VERDICTS:
            self._verdicts.popitem(last=False)


def _key_id(header: dict[str, Any]) -> str:
    """The key's id, if this is an access token signed the one way we take."""
    if header.get("alg") != ALGORITHM or header.get("typ") != "at+jwt":
        raise BadToken("not an access token")
    if "crit" in header or "b64" in header or "zip" in header:
        raise BadToken("asks for extensions")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or _KEY_ID.fullmatch(key_id) is None:
        raise BadToken("unusable key id")
    return key_id


def _caller(claims: dict[str, Any]) -> Caller:
    """Read the claims that count; PyJWT takes texts for times, and looks at no others."""
    if any(type(claims[name]) is not int for name in ("exp", "iat", "nbf")):
        raise BadToken("times must be whole numbers")
    scope = claims.get("scope", "")
    if not all(isinstance(text, str) and text for text in (claims["sub"], claims["sid"], claims["jti"])):
        raise BadToken("unusable subject")
    if not isinstance(scope, str):
        raise BadToken("unusable scope")
    return Caller(claims["sub"], claims["sid"], frozenset(scope.split()), claims["exp"])


def _plain_object(segment: str) -> dict[str, Any]:
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        value = json.loads(raw.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, binascii.Error, RecursionError):
        raise BadToken("not a JSON object") from None
    if not isinstance(value, dict):
        raise BadToken("not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadToken("a member stands twice")
    return members
