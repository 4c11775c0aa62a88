"""Sliding-window limits, exact across all workers in Redis; from memory, with the same policy, while Redis is away."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import structlog
from redis.exceptions import RedisError

from edge.policies import RateClass

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger()

SLICES = 16
REDIS_SECONDS = 0.1
RETRY_SECONDS = 1.0
LOCAL_WINDOWS = 50_000

# The window is a ring of slices. The current slice and the 16 full ones before it count, which is never less than the
# window: no span of that length ever admits more than the quota, and memory does not grow with the traffic.
TAKE = """
local quota, window, slices = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local width = window / slices
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local current = math.floor(now / width)
local counts, total, oldest = {}, 0, current
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local slice, count = tonumber(flat[i]), tonumber(flat[i + 1])
  if slice < current - slices then
    redis.call('HDEL', KEYS[1], flat[i])
  else
    total = total + count
    if slice < oldest then oldest = slice end
  end
end
local reset = (oldest + slices + 1) * width - now
if total >= quota then
  return {0, 0, math.ceil(reset)}
end
redis.call('HINCRBY', KEYS[1], string.format('%d', current), 1)
redis.call('PEXPIRE', KEYS[1], math.ceil((window + 2 * width) * 1000))
return {1, quota - total - 1, math.ceil(reset)}
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one more request is within the limit; ``reset`` is in seconds until more are."""

    name: str
    quota: int
    window: int
    allowed: bool
    remaining: int
    reset: int


class Windows(Protocol):
    """Sliding windows by key."""

    async def take(self, key: str, quota: int, window: int) -> tuple[bool, int, int]:
        """Count one request unless it is over the quota: allowed, remaining, seconds until more."""
        ...


class RedisWindows:
    """Windows that all workers share. Time is Redis's own, so that no clock of ours matters."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(TAKE)

    async def take(self, key: str, quota: int, window: int) -> tuple[bool, int, int]:
        """As :class:`Windows`. Raises ``RedisError``, ``OSError`` or ``TimeoutError`` when Redis is away or slow."""
        async with asyncio.timeout(REDIS_SECONDS):
            allowed, remaining, reset = await self._script(keys=[f"rate:{key}"], args=[quota, window, SLICES])
        return bool(allowed), int(remaining), int(reset)


class LocalWindows:
    """Windows of this worker alone; the least recently used are forgotten first."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._counts: OrderedDict[str, dict[int, int]] = OrderedDict()

    async def take(self, key: str, quota: int, window: int) -> tuple[bool, int, int]:
        """As :class:`Windows`; never fails."""
        width = window / SLICES
        now = self._monotonic()
        current = int(now // width)
        counts = self._counts.setdefault(key, {})
        self._counts.move_to_end(key)
        if len(self._counts) > LOCAL_WINDOWS:
            self._counts.popitem(last=False)
        for old in [slice_ for slice_ in counts if slice_ < current - SLICES]:
            del counts[old]
        total = sum(counts.values())
        reset = -int(-((min(counts, default=current) + SLICES + 1) * width - now) // 1)
        if total >= quota:
            return False, 0, reset
        counts[current] = counts.get(current, 0) + 1
        return True, quota - total - 1, reset


class Limiter:
    """Asks the shared windows, and the local ones while those are away. Back by itself; loud once per change.

    One late answer may be a busy moment of our own: it is told only when the next look, a second later, fails too.
    """

    def __init__(
        self,
        shared: Windows,
        *,
        scale: float,
        local: Windows | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._local = local or LocalWindows(monotonic=monotonic)
        self._scale = scale
        self._monotonic = monotonic
        self._away_since: float | None = None
        self._away_until = -math.inf
        self._is_told = False

    async def take(self, name: str, rate: RateClass, who: str) -> Verdict:
        """Count one request of ``who`` under this rate class."""
        quota = max(1, int(rate.quota * self._scale))
        allowed, remaining, reset = await self._take(f"{name}:{who}", quota, rate.window)
        return Verdict(name, quota, rate.window, allowed, remaining, max(1, reset))

    async def _take(self, key: str, quota: int, window: int) -> tuple[bool, int, int]:
        if self._monotonic() < self._away_until:
            return await self._local.take(key, quota, window)
        try:
            taken = await self._shared.take(key, quota, window)
        except (RedisError, OSError, TimeoutError) as fault:
            self._note_away(type(fault).__name__)
            return await self._local.take(key, quota, window)
        self._note_back()
        return taken

    def _note_away(self, reason: str) -> None:
        now = self._monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        self._away_until = now + RETRY_SECONDS
        if not self._is_told and now - self._away_since >= RETRY_SECONDS:
            self._is_told = True
            log.error("edge.limits_are_local", reason=reason)

    def _note_back(self) -> None:
        self._away_since, self._away_until = None, -math.inf
        if self._is_told:
            self._is_told = False
            log.warning("edge.limits_are_shared_again")


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Who a limit by address counts: an IPv4 address, or the /64 that one IPv6 customer commands."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def limit_headers(verdicts: list[Verdict]) -> dict[str, str]:
    """The headers of draft-ietf-httpapi-ratelimit-headers, as structured fields."""
    if not verdicts:
        return {}
    return {
        "ratelimit-policy": ", ".join(f'"{one.name}";q={one.quota};w={one.window}' for one in verdicts),
        "ratelimit": ", ".join(f'"{one.name}";r={one.remaining};t={one.reset}' for one in verdicts),
    }
