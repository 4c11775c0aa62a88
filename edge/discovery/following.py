"""Follows a key of Consul for as long as the worker lives: every state of it is handed on within moments."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from edge.discovery.agent import AGENT_ERRORS
from edge.discovery.watch import next_index
from shared.resilience.backoff import Dice, full_jitter

log = structlog.get_logger()

Value = TypeVar("Value")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two questions to a Consul that is away; the last word counts meanwhile."""


async def follow(
    what: str,
    next_after: Callable[[int | None], Awaitable[tuple[int, Value]]],
    take: Callable[[Value], Awaitable[None]],
    *,
    breath: float,
    dice: Dice | None = None,
) -> None:
    """Take each state until cancelled; of states that follow each other within ``breath`` seconds only the last.

    ``next_after`` gives an index and the state, as soon as it may differ from that of the index it is given; it may
    raise one of ``AGENT_ERRORS``. ``what`` names the key in the log.
    """
    dice = dice or random.SystemRandom()
    index: int | None = None
    attempt = 0
    while True:
        try:
            seen, value = await next_after(index)
        except AGENT_ERRORS as fault:
            if attempt == 0:
                log.warning("edge.key.not_followed", key=what, reason=type(fault).__name__)
            await asyncio.sleep(full_jitter(attempt, first=FIRST_PAUSE, cap=LONGEST_PAUSE, dice=dice))
            index, attempt = None, attempt + 1
            continue
        if attempt:
            log.info("edge.key.followed_again", key=what)
        index, attempt = next_index(index, seen), 0
        await take(value)
        await asyncio.sleep(breath)
