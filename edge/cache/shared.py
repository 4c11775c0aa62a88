"""What all workers of all edges keep together, in Redis: quick or done without, and never older than a purge.

Every tag has a generation: a random word in Redis. An entry carries the generations of its tags as they were *before*
it was fetched, and counts only while all of them still stand. To purge a tag is to delete its word, so an answer whose
fetch began before the purge is void wherever and whenever it is written, and a word that Redis evicts voids too.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from msgspec.structs import replace
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError

from edge.cache.entries import Entry
from edge.cache.plan import EVERYTHING
from shared.values.identifiers import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis.asyncio import Redis

log = structlog.get_logger()

ANSWER_SECONDS = 0.05
RETRY_SECONDS = 1.0
AT_ONCE = 8
"""Looks and stores under way at a time, of a client's connections that others need too; the rest is done without."""
MOST_OWED = 1_000
GENERATION_SECONDS = 60
"""How much longer a generation lives than the entries that carry it."""

_Packed = tuple[tuple[str, ...], Entry, bytes | None, list[tuple[str, bytes]]]
LOOK = """
local found = {redis.call('GET', KEYS[1])}
for i = 2, #KEYS do
  local generation = redis.call('GET', KEYS[i])
  if not generation then
    generation = ARGV[1]
    redis.call('SET', KEYS[i], generation, 'PX', ARGV[2])
  end
  found[i] = generation
end
return found
"""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found: the entry if it counts, and the generations to store a new one under, if Redis answered."""

    entry: Entry | None = None
    generations: tuple[str, ...] | None = None


class SharedStore:
    """``redis=None`` is a cache without a shared part."""

    def __init__(
        self,
        redis: Redis | None,
        *,
        patience: float = ANSWER_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._script: Any = redis.register_script(LOOK) if redis is not None else None
        self._patience = patience
        self._monotonic = monotonic
        self._places = AT_ONCE
        self._owed: set[str] = set()
        self._payment: asyncio.Task[bool] | None = None
        self._away_since: float | None = None
        self._away_until = -math.inf
        self._is_told = False
        self.counts: Counter[str] = Counter()

    async def look(self, key: str, tags: Sequence[str], *, life: float) -> Look:
        """Look for an entry; never raises, and takes no longer than the patience. ``life`` is in seconds."""
        if self._is_away() or not self._places:
            return Look()
        self._places -= 1
        try:
            if self._owed and not await self._pay():
                return Look()
            names = [_entry_name(key), *map(_generation_name, tags)]
            arguments = [new_id(), _milliseconds(life + GENERATION_SECONDS)]
            found = await self._ask(self._script(keys=names, args=arguments))
        finally:
            self._places += 1
        if found is None:
            return Look()
        raw, generations = found[0], tuple(map(_text, found[1:]))
        return Look(_counting(raw, key, generations), generations)

    async def store(self, entry: Entry, generations: tuple[str, ...], *, life: float) -> None:
        """Keep it for all, for ``life`` seconds, under the generations that were seen before it was fetched."""
        if self._redis is None or self._is_away() or not self._places:
            return
        self._places -= 1
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(_entry_name(entry.key), _packed(generations, entry), px=_milliseconds(life))
                for tag in entry.tags:
                    pipe.pexpire(_generation_name(tag), _milliseconds(life + GENERATION_SECONDS), gt=True)
                await self._ask(pipe.execute())
        finally:
            self._places += 1

    async def drop(self, key: str) -> None:
        """Forget one entry: its resource is gone."""
        if self._redis is not None and not self._is_away():
            await self._ask(self._redis.unlink(_entry_name(key)))

    async def purge(self, tags: Iterable[str]) -> bool:
        """Void every entry with one of these tags. While Redis is away this is owed: nothing is read before it is paid.

        Tells whether it is done. Purges that come while one is on its way go together: an import brings thousands.
        """
        if self._redis is None:
            return True
        self._owe(tags)
        if self._is_away():
            return False
        if self._payment is None or self._payment.done():
            self._payment = asyncio.create_task(self._pay_all(), name="cache purge")
        return await asyncio.shield(self._payment)

    @property
    def state(self) -> str:
        """``off``, ``ok`` or ``away``."""
        if self._redis is None:
            return "off"
        return "ok" if self._away_since is None else "away"

    def _is_away(self) -> bool:
        return self._redis is None or self._monotonic() < self._away_until

    def _owe(self, tags: Iterable[str]) -> None:
        self._owed.update(tags)
        if len(self._owed) > MOST_OWED or EVERYTHING in self._owed:
            self._owed = {EVERYTHING}

    async def _pay_all(self) -> bool:
        while self._owed:
            if not await self._pay() and self._is_away():
                return False
        return True

    async def _pay(self) -> bool:
        paying = set(self._owed)
        if self._redis is None or await self._ask(self._redis.unlink(*map(_generation_name, paying))) is None:
            return False
        self._owed -= paying
        return not self._owed

    async def _ask(self, question: Any) -> Any:
        """The answer, or ``None`` when there is none in time. A Redis that was lost may have lost purges with it."""
        try:
            async with asyncio.timeout(self._patience):
                answer = await question
        except (RedisError, OSError, TimeoutError) as fault:
            if isinstance(fault, LostConnection | OSError) and not isinstance(fault, TimeoutError):
                self._owed = {EVERYTHING}
            self._note_away(type(fault).__name__)
            return None
        self._note_back()
        return answer

    def _note_away(self, reason: str) -> None:
        self.counts["failures"] += 1
        now = self._monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        self._away_until = now + RETRY_SECONDS
        if not self._is_told and now - self._away_since >= RETRY_SECONDS:
            self._is_told = True
            log.error("edge.cache_is_local", reason=reason)

    def _note_back(self) -> None:
        self._away_since, self._away_until = None, -math.inf
        if self._is_told:
            self._is_told = False
            log.warning("edge.cache_is_shared_again")


def _packed(generations: tuple[str, ...], entry: Entry) -> bytes:
    """What a service says in its fields need be no text (RFC 9110 §5.5), so they travel beside the rest, as bytes."""
    kind = None if entry.content_type is None else _bytes_of(entry.content_type)
    fields = [(name, _bytes_of(value)) for name, value in entry.headers]
    return msgspec.msgpack.encode((generations, replace(entry, content_type=None, headers=[]), kind, fields))


def _counting(raw: bytes | None, key: str, generations: tuple[str, ...]) -> Entry | None:
    """The entry, if it is this one, can be read, and none of its tags was purged since it was asked for."""
    if raw is None:
        return None
    try:
        packed: _Packed = msgspec.msgpack.decode(raw, type=_Packed)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    stamped, entry, kind, fields = packed
    if stamped != generations or entry.key != key:
        return None
    headers = [(name, _value_of(value)) for name, value in fields]
    return replace(entry, content_type=None if kind is None else _value_of(kind), headers=headers)


def _bytes_of(value: str) -> bytes:
    return value.encode(errors="surrogateescape")


def _value_of(value: bytes) -> str:
    return value.decode(errors="surrogateescape")


def _entry_name(key: str) -> str:
    return f"cache:entry:{sha256(key.encode()).hexdigest()}"


def _generation_name(tag: str) -> str:
    return f"cache:tag:{sha256(tag.encode()).hexdigest()[:32]}"


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


def _text(generation: bytes | str) -> str:
    return generation.decode() if isinstance(generation, bytes) else generation
