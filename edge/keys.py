"""The shop's public signing keys, held at the edge so that no request waits for identity to check a token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import jwt
import structlog

from edge.rpc.calls import CallContext, Deadline, Rpc
from shared.contracts.identity import GET_JWKS
from shared.values.identifiers import new_id

log = structlog.get_logger()

COOLDOWN_SECONDS = 30.0
REFRESH_SECONDS = 300.0
RETRY_SECONDS = 1.0
FETCH_SECONDS = 2.0
ALGORITHM = "RS256"


class NoKeys(Exception):
    """Identity cannot be asked and no key was ever seen: no token can be judged now."""


class KeyRing:
    """Keys by id. An unknown id triggers at most one look-up per 30 s; a failed one keeps the last good keys."""

    def __init__(self, rpc: Rpc, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rpc = rpc
        self._monotonic = monotonic
        self._keys: dict[str, jwt.PyJWK] = {}
        self._last_try = -COOLDOWN_SECONDS
        self._is_failing = False
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load the keys, as far as identity answers, and keep them fresh from now on."""
        await self.refresh()
        self._task = asyncio.create_task(self._keep_fresh(), name="keys")

    async def close(self) -> None:
        """Stop refreshing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key with this id, ``None`` if identity has no such key. Raises :class:`NoKeys`."""
        if key_id not in self._keys:
            await self._look_up(key_id)
        if not self._keys:
            raise NoKeys
        return self._keys.get(key_id)

    async def refresh(self) -> None:
        """Ask identity now; whatever goes wrong leaves the keys as they are, and is told once until it is mended."""
        self._last_try = self._monotonic()
        try:
            keys = await self._fetch()
        except Exception as fault:  # noqa: BLE001  # whatever is wrong with identity, the keys we have stay good
            if not self._is_failing:
                log.warning("edge.keys_not_refreshed", reason=type(fault).__name__, known=len(self._keys))
            self._is_failing = True
            return
        if self._is_failing:
            self._is_failing = False
            log.info("edge.keys_refreshed_again", known=len(keys))
        if keys:
            self._keys = keys

    async def _fetch(self) -> dict[str, jwt.PyJWK]:
        context = CallContext(request_id=new_id(), deadline=Deadline.after(FETCH_SECONDS), route="keys")
        reply = await self._rpc.call(GET_JWKS, {}, context=context)
        return _usable(reply.result["keys"])

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS if self._keys else RETRY_SECONDS)
            await self.refresh()

    async def _look_up(self, key_id: str) -> None:
        async with self._one_at_a_time:
            if key_id in self._keys:
                return
            cooldown = COOLDOWN_SECONDS if self._keys else RETRY_SECONDS
            if self._monotonic() - self._last_try >= cooldown:
                await self.refresh()


def _usable(members: list[dict[str, Any]]) -> dict[str, jwt.PyJWK]:
    """Signature keys of the one algorithm we take; others are passed over, not fatal."""
    keys: dict[str, jwt.PyJWK] = {}
    for member in members:
        if _is_ours(member):
            keys[member["kid"]] = jwt.PyJWK(member, algorithm=ALGORITHM)
    return keys


def _is_ours(member: dict[str, Any]) -> bool:
    return (
        member.get("kty") == "RSA"
        and member.get("use", "sig") == "sig"
        and member.get("alg", ALGORITHM) == ALGORITHM
        and isinstance(member.get("kid"), str)
    )
