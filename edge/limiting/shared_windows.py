"""Windows that all workers of all edges share: one question to Redis for everybody who asks in the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha1
from time import monotonic
from typing import Any, NamedTuple, Protocol

import hiredis
import msgspec

from edge.limiting.limits import Asked, Taken
from edge.limiting.link import RedisLink
from edge.limiting.scripts import CHARGE, EPOCH, TAKE

MILLISECONDS = 1_000
MICROSECONDS = 1_000_000
EPOCH_SECONDS = 0.1
"""How often a question also looks whether Redis has forgotten: once a tick would cost a tenth of the script's time."""

WINDOWS_A_CHARGE = 200
CHARGE_SECONDS = 1.0


class Charge(NamedTuple):
    """What this worker admitted by itself: ``admissions`` are pairs of seconds ago and how many, oldest first."""

    key: str
    window: int
    admissions: Sequence[tuple[float, int]]


Tell = Callable[[list[Taken] | Exception], None]


class SharedWindows(Protocol):
    """Sliding windows by key, in a store that can be away."""

    epoch: str
    """Changes when the store has lost what it knew."""

    async def open(self) -> None:
        """Connect anew. Raises an exception of any kind while the store is away."""
        ...

    def take(self, asked: Sequence[Asked], tell: Tell) -> None:
        """Charge each group what its limits allow; ``tell`` is called once, later. Raises ``ConnectionError``."""
        ...

    async def charge(self, charges: Sequence[Charge]) -> None:
        """Add what was admitted elsewhere, whatever the quotas. Raises as :meth:`open`."""
        ...

    def abort(self) -> None:
        """Give up the connection; who waits is told."""
        ...


class RedisWindows:
    """The windows in Redis. Time is Redis's own, so that no clock of ours matters.

    One script touches many keys, which one Redis server allows and a Redis Cluster does not.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._link: RedisLink | None = None
        self._epoch_is_due = 0.0
        self.epoch = ""

    async def open(self) -> None:
        """Connect, load the scripts and read the epoch."""
        self.abort()
        link = await RedisLink.open(self._url)
        try:
            for script in (TAKE, CHARGE):
                await link.call("SCRIPT", "LOAD", script)
            self.epoch = _unpack(await link.call("EVALSHA", _TAKE, 1, EPOCH, _pack([1])))[0]
        except BaseException:
            link.abort()
            raise
        self._link = link

    def take(self, asked: Sequence[Asked], tell: Tell) -> None:
        """As :class:`SharedWindows`: one EVALSHA for all."""
        if self._link is None:
            raise ConnectionError("the windows were never opened")
        now = monotonic()
        is_due = now >= self._epoch_is_due
        keys, numbers = [EPOCH], [int(is_due)]
        for group in asked:
            numbers += (len(group.seats), len(group.checks))
            for key, quota, window in group.checks:
                keys.append(key)
                numbers += (quota, window * MILLISECONDS)

        def arrived(answer: Any) -> None:
            tell(answer if isinstance(answer, Exception) else self._read(asked, _unpack(answer)))

        self._link.ask(("EVALSHA", _TAKE, len(keys), *keys, _pack(numbers)), arrived)
        if is_due:
            self._epoch_is_due = now + EPOCH_SECONDS

    async def charge(self, charges: Sequence[Charge]) -> None:
        """As :class:`SharedWindows`; so many at a time that Redis stays free for others."""
        for first in range(0, len(charges), WINDOWS_A_CHARGE):
            some = charges[first : first + WINDOWS_A_CHARGE]
            if self._link is None:
                raise ConnectionError("the windows were never opened")
            arguments: list[int] = []
            for one in some:
                arguments += (one.window * MICROSECONDS, len(one.admissions))
                for ago, count in one.admissions:
                    arguments += (int(ago * MICROSECONDS), count)
            async with asyncio.timeout(CHARGE_SECONDS):
                await self._link.call("EVALSHA", _CHARGE, len(some), *(one.key for one in some), *arguments)

    def abort(self) -> None:
        """As :class:`SharedWindows`."""
        if self._link is not None:
            self._link.abort()

    def _read(self, asked: Sequence[Asked], answer: list[Any]) -> list[Taken]:
        if answer[0]:
            self.epoch = answer[0]
        taken, at = [], 1
        for group in asked:
            end = at + 1 + 2 * len(group.checks)
            numbers = answer[at + 1 : end]
            left = [(numbers[index], numbers[index + 1] / MICROSECONDS) for index in range(0, len(numbers), 2)]
            taken.append(Taken(answer[at], left))
            at = end
        return taken


def _name(script: str) -> str:
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(list).decode
_TAKE, _CHARGE = _name(TAKE), _name(CHARGE)

AWAY = (OSError, TimeoutError, hiredis.HiredisError)
"""What the windows raise while they are away. A server that refuses the question is as good as none."""
