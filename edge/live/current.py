"""Holds the table in force, and swaps in another whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from edge.faults import BadRoutes, Fault
from edge.routes import RouteTable, compiled
from edge.snapshot import Origin, Snapshot, hash_of

if TYPE_CHECKING:
    from edge.live.kept import Kept
    from edge.live.shared import SharedTable

log = structlog.get_logger()

LOGGED_FAULTS = 10

Compiling = Callable[[RouteTable, Origin], Snapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A table that was offered and not taken. It stays on show until a good one comes, or the bad one goes."""

    hash: str
    origin: Origin
    since: datetime
    faults: tuple[Fault, ...]


class LiveRoutes:
    """One per worker. ``snapshot`` is replaced by assignment: a request that holds the old one goes on with it.

    ``shared`` is where all edges have their table from, ``None`` without Consul.
    """

    def __init__(self, file: Snapshot, *, compiling: Compiling) -> None:
        self._file = file
        self._compiling = compiling
        self._kept: Kept | None = None
        self.snapshot = file
        self.shared: SharedTable | None = None
        self.refusal: Refusal | None = None
        self.counts = {"taken": 0, "refused": 0}
        self.on_taken: Callable[[RouteTable], None] = lambda _: None

    @property
    def file(self) -> Snapshot:
        """The table of the edge's own file, which is in force while nobody offers another."""
        return self._file

    def restore(self, kept: Kept) -> None:
        """Begin with the last good table, so that a start without Consul, or with a bad table in it, is no change."""
        self._kept = kept
        text = kept.read()
        if text is None:
            return
        try:
            self._swap(self._compiled(text, "kept"))
        except BadRoutes as bad:
            log.warning("edge.routes.kept_not_usable", version=hash_of(text), faults=_logged(bad))

    async def check(self, text: str, origin: Origin = "consul") -> Snapshot:
        """Compile the text beside the requests; nothing changes. Raises :class:`edge.faults.BadRoutes`."""
        return await asyncio.to_thread(self._compiled, text, origin)

    async def follow(self, text: str | None) -> None:
        """Take the shared table as it is now; ``None`` when there is none. A bad one changes nothing; never fails."""
        if text is None:
            await self._return_to_file()
            return
        if hash_of(text) == self.snapshot.version.hash:
            self.refusal = None
            await self._keep(text)
            return
        try:
            snapshot = await self.check(text)
        except BadRoutes as bad:
            self._refuse(text, bad)
            return
        self._swap(snapshot)
        await self._keep(text)

    def state(self, snapshot: Snapshot | None = None) -> dict[str, Any]:
        """What is in force (or a request's own snapshot) and what was refused, as plain JSON."""
        version, refusal = (snapshot or self.snapshot).version, self.refusal
        return {
            "version": version.hash,
            "origin": version.origin,
            "since": version.since.isoformat(timespec="milliseconds"),
            "refused": None
            if refusal is None
            else {
                "version": refusal.hash,
                "origin": refusal.origin,
                "since": refusal.since.isoformat(timespec="milliseconds"),
                "faults": [str(fault) for fault in refusal.faults],
            },
        }

    async def _return_to_file(self) -> None:
        self.refusal = None
        if self._kept is not None:
            await asyncio.to_thread(self._kept.forget)
        if self.snapshot is not self._file:
            self._swap(self._file)

    async def _keep(self, text: str) -> None:
        if self._kept is not None:
            await asyncio.to_thread(self._kept.write, text)

    def _swap(self, snapshot: Snapshot) -> None:
        before, self.snapshot, self.refusal = self.snapshot.version, snapshot, None
        self.counts["taken"] += 1
        self.on_taken(snapshot.table)
        version = snapshot.version
        log.info("edge.routes.taken", version=version.hash, origin=version.origin, before=before.hash)

    def _refuse(self, text: str, bad: BadRoutes) -> None:
        refused = hash_of(text)
        if self.refusal is not None and self.refusal.hash == refused:
            return
        self.refusal = Refusal(hash=refused, origin="consul", since=datetime.now(UTC), faults=bad.faults)
        self.counts["refused"] += 1
        log.error("edge.routes.refused", version=refused, in_force=self.snapshot.version.hash, faults=_logged(bad))

    def _compiled(self, text: str, origin: Origin) -> Snapshot:
        try:
            return self._compiling(compiled(text), origin)
        except BadRoutes:
            raise
        except Exception:
            log.exception("edge.routes.not_checked", version=hash_of(text))
            raise BadRoutes([Fault("this table cannot be compiled; the edge's log says why")]) from None


def _logged(bad: BadRoutes) -> list[str]:
    rest = len(bad.faults) - LOGGED_FAULTS
    return [*(str(fault) for fault in bad.faults[:LOGGED_FAULTS]), *([f"and {rest} more"] if rest > 0 else [])]
