"""Asks all parts at the same time. What comes of it depends on what each says, never on who is first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge.aggregate.parts import Outcome, Part

if TYPE_CHECKING:
    from edge.exchange import Exchange


async def gather_parts(parts: Sequence[Part], exchange: Exchange, arguments: Mapping[str, Any]) -> list[Outcome]:
    """The outcomes in declared order. Raises the fault of the first required part, in that order, that has one.

    It is raised as soon as it is certain. Who is still asked then is asked no longer, nor when the client goes away.
    """
    tasks = [asyncio.create_task(part.played(exchange, arguments), name=part.policy.name) for part in parts]
    try:
        for part, task in zip(parts, tasks, strict=True):
            if part.policy.required and (fault := (await task).fault) is not None:
                raise fault
        return [await task for task in tasks]
    finally:
        unfinished = [task for task in tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.gather(*unfinished, return_exceptions=True)
