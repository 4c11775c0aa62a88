"""A bulkhead keeps one slow service from taking every hand the edge has."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from edge.rpc.failures import NotExecuted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Bulkhead:
    """At most ``limit`` holders; ``queue`` more wait their turn, first come, first served."""

    def __init__(self, *, limit: int, queue: int) -> None:
        self.limit = limit
        self._queue = queue
        self._turns: deque[asyncio.Future[None]] = deque()
        self.in_flight = 0

    @property
    def waiting(self) -> int:
        """Who waits for a turn."""
        return len(self._turns)

    @asynccontextmanager
    async def place(self, *, patience: float) -> AsyncIterator[None]:
        """Hold a place for the block. Raises ``NotExecuted`` when all are taken for ``patience`` seconds."""
        if not self.try_enter():
            await self.enter(patience=patience)
        try:
            yield
        finally:
            self.leave()

    def try_enter(self) -> bool:
        """Take a place if one is free, without a wait; :meth:`leave` it in the end. Gives whether there was one."""
        if self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        return True

    async def enter(self, *, patience: float) -> None:
        """Wait for a place; :meth:`leave` it in the end. Raises as :meth:`place` does."""
        if len(self._turns) >= self._queue:
            raise NotExecuted("too many calls to this service are waiting")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException as fault:
            self._give_up(turn)
            if isinstance(fault, TimeoutError):
                raise NotExecuted("no call to this service finished in time to make room") from None
            raise

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self.leave()  # the place had just been handed over
        with suppress(ValueError):
            self._turns.remove(turn)

    def leave(self) -> None:
        """Hand the place to the next in line, or free it."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_flight -= 1


class DividedBulkhead:
    """A bulkhead with walls inside: each method may hold at most ``share`` of the places, and of the queue.

    So one slow method never takes all places of its service.
    """

    def __init__(self, *, limit: int, queue: int, share: float) -> None:
        self._whole = Bulkhead(limit=limit, queue=queue)
        self._limit = max(1, int(limit * share))
        self._queue = int(queue * share)
        self._parts: dict[str, Bulkhead] = {}

    @property
    def in_flight(self) -> int:
        """Who holds a place of the whole."""
        return self._whole.in_flight

    @property
    def waiting(self) -> int:
        """Who waits for a turn, here or there."""
        return self._whole.waiting + sum(part.waiting for part in self._parts.values())

    def held_by(self, method: str) -> int:
        """The places of one method, those included that still wait for one of the whole."""
        return self._part(method).in_flight

    def try_enter(self, method: str) -> bool:
        """Take a place if one is free, without a wait; :meth:`leave` it in the end. Gives whether there was one."""
        part, whole = self._parts.get(method) or self._part(method), self._whole
        if part.in_flight >= part.limit or whole.in_flight >= whole.limit:
            return False
        part.in_flight += 1
        whole.in_flight += 1
        return True

    async def enter(self, method: str, *, patience: float) -> None:
        """Wait for a place; :meth:`leave` it in the end. Raises ``NotExecuted`` after ``patience`` seconds."""
        until = asyncio.get_running_loop().time() + patience
        part = self._part(method)
        if not part.try_enter():
            await part.enter(patience=patience)
        try:
            if not self._whole.try_enter():
                await self._whole.enter(patience=max(0.0, until - asyncio.get_running_loop().time()))
        except BaseException:
            part.leave()
            raise

    def leave(self, method: str) -> None:
        """Hand the place on, or free it."""
        self._whole.leave()
        self._parts[method].leave()

    def _part(self, method: str) -> Bulkhead:
        part = self._parts.get(method)
        if part is None:
            part = self._parts[method] = Bulkhead(limit=self._limit, queue=self._queue)
        return part
