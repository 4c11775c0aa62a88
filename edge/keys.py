"""The shop's public signing keys, held at the edge so that no request waits for identity to check a token."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from edge.key_set import VerificationKey, usable
from edge.rpc.calls import CallContext, Deadline, Rpc
from shared.contracts.identity import GET_JWKS
from shared.metrics.counting import key_fetches
from shared.values.identifiers import new_id

if TYPE_CHECKING:
    from asyncio import Task

log = structlog.get_logger()

COOLDOWN_SECONDS = 30.0
"""Unknown key ids, however many, make us ask once in this time: identity publishes a key an hour before it signs."""

REFRESH_SECONDS = 300.0
RETRY_SECONDS = 1.0
FETCH_SECONDS = 2.0
STALE_SECONDS = 3600.0
"""So long keys are trusted while identity cannot be asked: as long as identity itself keeps a retired one."""

DEFAULT_ALGORITHMS = ("RS256",)


class NoKeys(Exception):
    """This token cannot be judged now: who knows the keys, or whose sessions ended, cannot be asked."""


class KeyRing:
    """Keys by id, asked for together and in the background; a failed look keeps the last good ones for an hour."""

    def __init__(
        self,
        rpc: Rpc,
        *,
        algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.algorithms = algorithms
        self._rpc = rpc
        self._monotonic = monotonic
        self._keys: dict[str, VerificationKey] = {}
        self._tried_at = self._good_at = -math.inf
        self._failing = asyncio.Event()
        self._turns = 0
        self._flight: Task[None] | None = None
        self._keeper: Task[None] | None = None

    @property
    def age(self) -> float:
        """Seconds since identity last told its keys; infinite when it never did."""
        return self._monotonic() - self._good_at

    async def open(self) -> None:
        """Load the keys, as far as identity answers, and keep them fresh from now on."""
        await self.refresh()
        self._keeper = asyncio.create_task(self._keep_fresh(), name="keys")

    async def close(self) -> None:
        """Stop refreshing."""
        tasks = [task for task in (self._keeper, self._flight) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def holds(self, key: VerificationKey) -> bool:
        """Whether this very key still counts: what a withdrawn one has signed does not, whoever checked it before."""
        return self._keys.get(key.id) is key

    def known(self, key_id: str) -> VerificationKey | None:
        """The key with this id, if it is here."""
        return self._keys.get(key_id)

    async def find(self, key_id: str) -> VerificationKey | None:
        """The key with this id, ``None`` if identity has no such key. Raises :class:`NoKeys` while nobody can say."""
        if key_id not in self._keys:
            await self._look_up()
        key = self._keys.get(key_id)
        if key is None and (self._failing.is_set() or not self._keys):
            raise NoKeys
        return key

    async def refresh(self) -> None:
        """Ask identity, or join who asks; whatever goes wrong leaves the keys as they are, and is told once."""
        if self._flight is None or self._flight.done():
            self._tried_at = self._monotonic()
            self._flight = asyncio.create_task(self._ask(), name="keys-fetch")
        await asyncio.shield(self._flight)  # one who gives up does not take the answer from the others

    async def turned(self, key_ids: Collection[str]) -> None:
        """Identity says which keys may verify from now on: others count no more, at once; then read the set anew."""
        self._turns += 1
        self._keys = {key_id: key for key_id, key in self._keys.items() if key_id in key_ids}
        await self.refresh()

    async def _look_up(self) -> None:
        if self._flight is not None and not self._flight.done() and not self._failing.is_set():
            await self.refresh()
            return
        cooldown = RETRY_SECONDS if self._failing.is_set() else COOLDOWN_SECONDS
        if self._keeper is not None and self._failing.is_set():
            return  # it asks every second anyway, and nobody is to wait for an identity that is away
        if self._monotonic() - self._tried_at >= cooldown:
            await self.refresh()

    async def _ask(self) -> None:
        turns = -1
        try:
            while turns != self._turns:  # an answer that left before the keys turned may name a withdrawn one
                turns = self._turns
                members = await self._fetch()
        except Exception as fault:  # noqa: BLE001  # whatever is wrong with identity, the keys we have stay good
            self._note_failure(type(fault).__name__)
            return
        keys = usable(members, algorithms=self.algorithms, known=self._keys)
        if keys:
            self._note_success(keys)
        else:
            self._note_failure("no usable key")

    async def _fetch(self) -> list[Any]:
        context = CallContext(request_id=new_id(), deadline=Deadline.after(FETCH_SECONDS), route="keys")
        reply = await self._rpc.call(GET_JWKS, {}, context=context)
        members = reply.result["keys"]
        return members if isinstance(members, list) else []

    async def _keep_fresh(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._failing.wait()  # also when it is somebody else's look that has failed
                    await asyncio.sleep(RETRY_SECONDS)
            await self.refresh()

    def _note_success(self, keys: dict[str, VerificationKey]) -> None:
        key_fetches["fetched"]()
        if self._failing.is_set():
            log.info("edge.keys_refreshed_again", known=len(keys))
        if self._keys and keys.keys() != self._keys.keys():
            log.info("edge.keys_changed", known=sorted(keys), withdrawn=sorted(self._keys.keys() - keys.keys()))
        self._failing.clear()
        self._good_at = self._monotonic()
        self._keys = keys

    def _note_failure(self, reason: str) -> None:
        key_fetches["failed"]()
        if not self._failing.is_set():
            log.warning("edge.keys_not_refreshed", reason=reason, known=len(self._keys))
        self._failing.set()
        if self._keys and self.age >= STALE_SECONDS:
            log.error("edge.keys_too_old", known=len(self._keys))
            self._keys = {}
