"""Opens plugins when they are first met, and closes them with the worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from edge.plugins.plugin import Plugin

log = structlog.get_logger()

CLOSING_SECONDS = 2.0


class Plugins:
    """One per worker: which plugins are open. Route tables come and go; what was opened stays so."""

    def __init__(self) -> None:
        self._open: dict[str, Plugin] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}

    async def open(self, name: str, plugin: Plugin) -> None:
        """Open it, if it must be and is not yet. Raises what it raises; the next request then tries again.

        All who come meanwhile wait for the one that opens it, and none of them takes it along when they go.
        """
        if name in self._open or (plugin.opened is None and plugin.closed is None):
            return
        task = self._opening.get(name)
        if task is None:
            task = self._opening[name] = asyncio.create_task(self._opened(name, plugin), name=name)
            task.add_done_callback(_heard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """Close what is open, each in two seconds at most; one that fails is logged."""
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        await asyncio.gather(*(self._closed(name, plugin) for name, plugin in self._open.items()))
        self._open.clear()

    async def _opened(self, name: str, plugin: Plugin) -> None:
        try:
            if plugin.opened is not None:
                await plugin.opened()
            self._open[name] = plugin
        except (SystemExit, KeyboardInterrupt) as leaving:  # from a task, either would end the worker
            raise RuntimeError(f"the plugin '{name}' cannot be opened: {leaving!r}") from leaving
        finally:
            del self._opening[name]

    async def _closed(self, name: str, plugin: Plugin) -> None:
        if plugin.closed is None:
            return
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await plugin.closed()
        except asyncio.CancelledError:
            raise
        except BaseException:
            log.exception("edge.plugin_not_closed", plugin=name)


def _heard(task: asyncio.Task[None]) -> None:
    """A fault is told to all who wait; if they have all gone, to nobody."""
    if not task.cancelled():
        task.exception()
