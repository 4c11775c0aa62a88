"""Remembers which tokens were found good: here, and in Redis for other workers; by a keyed hash, never the token.

What stands in Redis is a seal over the token's hash and the key that signed it, made with a secret that only edges
have. It says nothing but "this signature was checked": who the caller is, each worker reads from the token itself. So
who can write there, but has not the secret, can give nobody a right: an altered, invented or moved seal does not fit,
and a true one put back later still ends with its token, its key and its session, which are looked at each time.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import structlog
from redis.exceptions import RedisError

from edge.claims import Caller
from shared.metrics.counting import token_verdicts

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from edge.key_set import VerificationKey

log = structlog.get_logger()

CACHED_SECONDS = 300.0
"""A verdict lives no longer than its token, and no longer than this; then the signature is checked anew."""

CACHED_VERDICTS = 10_000
REDIS_SECONDS = 0.05
RETRY_SECONDS = 1.0
MOST_WRITES = 64
"""Seals on their way to Redis at a time; more are not told. That costs another worker one signature."""

_BYTES = 32


class Verdict(NamedTuple):
    """The caller, the key that vouched for them, and until when this need not be looked at again."""

    caller: Caller
    key: VerificationKey
    until: float


class Verdicts:
    """Those of this worker; the least recently used are forgotten first."""

    def __init__(self, *, limit: int = CACHED_VERDICTS) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, Verdict] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, fingerprint: bytes) -> Verdict | None:
        """The verdict on this token, if it is remembered."""
        verdict = self._kept.get(fingerprint)
        if verdict is not None:
            self._kept.move_to_end(fingerprint)
        return verdict

    def put(self, fingerprint: bytes, verdict: Verdict) -> None:
        """Remember it."""
        self._kept[fingerprint] = verdict
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def drop(self, fingerprint: bytes) -> None:
        """Forget it."""
        self._kept.pop(fingerprint, None)


class Seals:
    """Hashes tokens and seals verdicts, with keys of their own cut from the edges' common secret.

    ``terms`` is what tokens are judged by: edges that judge by other terms do not understand each other's verdicts.
    """

    def __init__(self, secret: str, *, terms: str) -> None:
        self._hash_key = hmac.digest(secret.encode(), b"token fingerprint", "sha256")
        self._seal_key = hmac.digest(secret.encode(), f"token verdict\0{terms}".encode(), "sha256")

    def fingerprint(self, token: str) -> bytes:
        """What the token is remembered by. Without the key nobody can tell whether it is that of a given token."""
        return blake2b(token.encode(), key=self._hash_key, digest_size=_BYTES).digest()

    def seal(self, fingerprint: bytes, key: VerificationKey) -> bytes:
        """Says that this key has signed this token."""
        return blake2b(fingerprint + key.source, key=self._seal_key, digest_size=_BYTES).digest()


class SharedVerdicts:
    """Those of all workers. A Redis that is away or slow is left alone for a second: signatures are checked instead."""

    def __init__(self, redis: Redis, seals: Seals, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._seals = seals
        self._monotonic = monotonic
        self._away_until = -math.inf
        self._is_told = False
        self._writes: set[asyncio.Task[None]] = set()

    async def vouch_for(self, fingerprint: bytes, key: VerificationKey) -> bool:
        """Whether another worker found the key's signature on the token. Never fails; takes at most 50 ms."""
        if self._monotonic() < self._away_until:
            return False
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                found = await self._redis.get(_name(fingerprint))
        except (RedisError, OSError, TimeoutError) as fault:
            self._note_away(type(fault).__name__)
            return False
        self._note_back()
        if found is None:
            return False
        if isinstance(found, bytes) and hmac.compare_digest(found, self._seals.seal(fingerprint, key)):
            return True
        token_verdicts["forged"]()
        log.warning("edge.shared_verdict_refused")
        return False

    def tell(self, fingerprint: bytes, key: VerificationKey, seconds: float) -> None:
        """Tell the other workers for so many seconds, without waiting for it."""
        milliseconds = int(seconds * 1000)
        if milliseconds < 1 or len(self._writes) >= MOST_WRITES or self._monotonic() < self._away_until:
            return
        write = asyncio.create_task(self._put(_name(fingerprint), self._seals.seal(fingerprint, key), milliseconds))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)

    async def _put(self, name: str, seal: bytes, milliseconds: int) -> None:
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                await self._redis.set(name, seal, px=milliseconds)
        except (RedisError, OSError, TimeoutError) as fault:
            self._note_away(type(fault).__name__)

    def _note_away(self, reason: str) -> None:
        now = self._monotonic()
        if not self._is_told and -math.inf < self._away_until <= now:  # a second look, after a second, failed too
            self._is_told = True
            log.warning("edge.verdicts_are_local", reason=reason)
        self._away_until = now + RETRY_SECONDS

    def _note_back(self) -> None:
        self._away_until = -math.inf
        if self._is_told:
            self._is_told = False
            log.info("edge.verdicts_are_shared_again")


def _name(fingerprint: bytes) -> str:
    return f"verdict:{fingerprint.hex()}"
