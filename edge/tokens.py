"""Judges access tokens: only what identity itself signed, for us, for now, and for this purpose, counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import jwt

from edge.claims import (
    LARGEST_TOKEN,
    LEEWAY_SECONDS,
    REQUIRED,
    BadToken,
    Caller,
    caller_named_by,
    decoded,
    key_named_by,
)
from edge.keys import KeyRing, NoKeys
from edge.verdicts import CACHED_SECONDS, Seals, SharedVerdicts, Verdict, Verdicts
from shared.metrics.counting import token_verdicts

if TYPE_CHECKING:
    from jwt.types import Options
    from redis.asyncio import Redis

    from edge.key_set import VerificationKey
    from edge.revocations import Revocations

__all__ = ["LEEWAY_SECONDS", "BadToken", "Caller", "Verifier"]

_LETTER = "[A-Za-z0-9_-]"
_SEGMENT = rf"(?={_LETTER})(?:{_LETTER}{{4}})*(?:{_LETTER}[AQgw]|{_LETTER}{{2}}[AEIMQUYcgkosw048])?"
_FORM = re.compile(rf"{_SEGMENT}\.{_SEGMENT}\.{_SEGMENT}")
"""Each segment as only one text can be written (RFC 4648, 3.5): bits that mean nothing are zero."""
_OPTIONS: Options = {"require": list(REQUIRED), "strict_aud": True, "enforce_minimum_key_length": True}


class Verifier:
    """Checks a signature once, then remembers the verdict; whether the session or the key ended, it looks each time.

    ``secret`` is common to all edges that share the Redis.
    """

    def __init__(  # noqa: PLR0913 - its collaborators, each by name
        self,
        *,
        keys: KeyRing,
        issuer: str,
        audience: str,
        now: Callable[[], float],
        revocations: Revocations,
        secret: str,
        redis: Redis | None = None,
    ) -> None:
        seals = Seals(secret, terms="\0".join((issuer, audience, *keys.algorithms)))
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self._revocations = revocations
        self._fingerprint = seals.fingerprint
        self._local = Verdicts()
        self._shared = SharedVerdicts(redis, seals) if redis is not None else None
        self._count_local = token_verdicts["local"]

    def known(self, token: str) -> Caller | None:
        """Who the token speaks for, if this worker has checked it before and nothing has ended since. Never waits."""
        if len(token) > LARGEST_TOKEN or not token.isascii():
            return None
        verdict = self._local.get(self._fingerprint(token))
        if verdict is None or not self._still_holds(verdict):
            return None
        self._count_local()
        return verdict.caller

    async def verify(self, token: str) -> Caller:
        """Who the token speaks for. Raises :class:`BadToken`, or ``NoKeys`` while it cannot be judged."""
        try:
            return await self._verified(token)
        except BadToken:
            token_verdicts["refused"]()
            raise

    def stands_by(self, caller: Caller) -> bool:
        """Whether a token that was good still would be, whatever its age: for what outlasts it. Never waits."""
        return (
            self._keys.known(caller.key_id) is not None
            and self._revocations.is_complete
            and not self._revocations.ended(caller)
        )

    async def _verified(self, token: str) -> Caller:
        if len(token) > LARGEST_TOKEN or _FORM.fullmatch(token) is None:
            raise BadToken("not a compact token")
        fingerprint = self._fingerprint(token)
        verdict = self._local.get(fingerprint)
        if verdict is None or not (self._keys.holds(verdict.key) and self._now() < verdict.until):
            self._local.drop(fingerprint)
            verdict = await self._found(token, fingerprint)
        self._refuse_ended(verdict.caller)
        return verdict.caller

    async def _found(self, token: str, fingerprint: bytes) -> Verdict:
        header, payload, _ = token.split(".")
        key_id = key_named_by(decoded(header), self._keys.algorithms)
        caller = caller_named_by(decoded(payload), self._now(), key_id=key_id)
        key = await self._keys.find(key_id)
        if key is None:
            raise BadToken("unknown key")
        if self._shared is None:
            self._check(token, key)
        elif await self._shared.vouch_for(fingerprint, key):
            token_verdicts["shared"]()
            return self._remembered(fingerprint, caller, key)
        else:
            self._check(token, key)
            self._shared.tell(fingerprint, key, min(caller.expires_at - self._now(), CACHED_SECONDS))
        token_verdicts["judged"]()
        return self._remembered(fingerprint, caller, key)

    def _check(self, token: str, key: VerificationKey) -> None:
        try:
            jwt.decode(
                token,
                key.jwk,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as fault:
            raise BadToken(type(fault).__name__) from None

    def _remembered(self, fingerprint: bytes, caller: Caller, key: VerificationKey) -> Verdict:
        now = self._now()
        verdict = Verdict(caller, key, min(caller.expires_at, now + CACHED_SECONDS))
        if now < verdict.until:  # within the leeway after its end a token is judged each time
            self._local.put(fingerprint, verdict)
        return verdict

    def _still_holds(self, verdict: Verdict) -> bool:
        return (
            self._now() < verdict.until
            and self._keys.holds(verdict.key)
            and self._revocations.is_complete
            and not self._revocations.ended(verdict.caller)
        )

    def _refuse_ended(self, caller: Caller) -> None:
        if self._revocations.ended(caller):
            raise BadToken("its session has ended")
        if not self._revocations.is_complete:
            raise NoKeys
