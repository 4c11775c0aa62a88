"""Hashes passwords with Argon2id in native threads, a few at a time: on the hub it would stop every other call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from eventlet import tpool
from eventlet.semaphore import Semaphore

from shared.contracts.passwords import normalised
from shared.contracts.refusals import Unavailable
from shared.messaging.call import current

T = TypeVar("T")

AT_ONCE = 2
"""Each takes a core and 19 MiB while it runs."""

_OWASP_MINIMUM = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)


class Turnstile:
    """Lets ``at_once`` pieces of work into native threads and ``waiting`` more queue; the rest is turned away.

    So is who has queued for half of the time that the caller gave: the work and what follows it need the other half,
    and a clear refusal now is worth more than an outcome that nobody knows later.
    """

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._free = Semaphore(at_once)
        self._room = at_once + waiting

    def run(self, work: Callable[[], T]) -> T:
        """Give what ``work`` gives. Raises :class:`Unavailable` when the queue is full or too slow."""
        if self._room <= 0:
            raise Unavailable(retry_after=1)
        self._room -= 1
        try:
            if not self._free.acquire(timeout=_patience()):
                raise Unavailable(retry_after=1)
            try:
                result: T = tpool.execute(work)
                return result
            finally:
                self._free.release()
        finally:
            self._room += 1


def _patience() -> float | None:
    """Seconds that the call being served may queue; ``None`` for who waits as long as it takes."""
    deadline = current().deadline
    return None if deadline is None else max(0.0, deadline.remaining_seconds() / 2)


class Argon2Passwords:
    """Argon2id with OWASP's least parameters (19 MiB, two passes, one lane)."""

    def __init__(self, turnstile: Turnstile, hasher: PasswordHasher = _OWASP_MINIMUM) -> None:
        self._turnstile = turnstile
        self._hasher = hasher
        self._hash_of_nobody = hasher.hash("the password of nobody")

    def hashed(self, password: str) -> str:
        """A salted hash to keep. Raises :class:`Unavailable`."""
        return self._turnstile.run(lambda: self._hasher.hash(normalised(password)))

    def is_right(self, password: str, kept_hash: str | None) -> bool:
        """For nobody (``None``) the same work is done, and the answer is no. Raises :class:`Unavailable`."""
        return self._turnstile.run(lambda: self._verify(password, kept_hash or self._hash_of_nobody)) and bool(
            kept_hash
        )

    def _verify(self, password: str, kept_hash: str) -> bool:
        try:
            return self._hasher.verify(kept_hash, normalised(password))
        except (VerificationError, InvalidHashError):
            return False
