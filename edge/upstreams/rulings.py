"""What operators rule of breakers, obeyed by those of the routes to HTTP services, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.rpc.rulings import KEY, Rulings, read_rulings

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from edge.rpc.guard import Guard
    from edge.upstreams.upstreams import Upstreams


class EveryRuling(Rulings):
    """A service that speaks HTTP has its place beside ours: ``reviews`` or ``reviews.write_review`` (the route)."""

    def __init__(self, redis: Redis, guard: Guard, upstreams: Upstreams) -> None:
        super().__init__(redis, guard)
        self._upstreams = upstreams

    async def look(self) -> None:
        """Obey what is ruled now. Raises one of ``REDIS_ERRORS``."""
        rulings = read_rulings(await self._redis.hgetall(KEY))
        self._guard.rule(rulings)
        self._upstreams.rule(rulings)
