"""Remembers how changes of carts were answered, so that a repetition is answered the same, whatever happened since."""

from __future__ import annotations

import math
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import orjson
import redis

from rpc_services.cart.domain import KeysUsedUp, Owner
from rpc_services.cart.records import MEMORY, MOST_BYTES, Places, places_of, script
from rpc_services.cart.shards import Shards, reaching
from shared.contracts import known_refusals
from shared.contracts.refusals import NOT_ANSWERS, KeyReused, OutcomeUnknown, Refusal, StillRunning, Unavailable
from shared.messaging.call import Call
from shared.values.times import Clock

LONGEST_RUN = timedelta(seconds=10)
"""Longer than any deadline of a cart's route (5 s): a mark that is older was left by a process that died."""

MEMORY_SECONDS = int(MEMORY.total_seconds())
PATIENCE = timedelta(seconds=1)
LOOK_AGAIN_SECONDS = 0.05


class Answers:
    """The answers to what clients gave a key, in the Redis of the cart.

    That the change happens once is the cart's own doing: it remembers the operation in the step that has the effect.
    Here is what was said of it. It is kept before anybody hears it, so nobody has an answer that is not here; a Redis
    that loses its last second may lose some, and then a repetition is told how the cart is now.
    """

    def __init__(self, shards: Shards, *, clock: Clock) -> None:
        self._shards = shards
        self._clock = clock
        self._claim = script("claim.lua")
        self._keep_answer = script("keep_answer.lua")

    def once(self, owner: Owner | None, call: Call, work: Callable[[], Any]) -> Any:
        """Run ``work``, unless this operation was answered before: then give that answer, or raise that refusal.

        Only what carries a fingerprint can come again from a client; everything else just runs. Raises also
        :class:`KeyReused`, :class:`StillRunning`, :class:`KeysUsedUp` and, when the answer could not be kept,
        :class:`OutcomeUnknown`.
        """
        if owner is None or call.operation_id is None or call.fingerprint is None:
            return work()
        places = places_of(owner, call.operation_id)
        client = self._shards.client_for(owner.key)
        earlier = self._earlier(client, places, call)
        if earlier is not None:
            call.marks.replayed = True
            return _given(earlier)
        return self._run(client, places, call.fingerprint, work)

    def _earlier(self, client: redis.Redis, places: Places, call: Call) -> dict[str, Any] | None:
        """How it ended; ``None`` when it is ours to run now."""
        give_up_at = time.monotonic() + PATIENCE.total_seconds()
        while True:
            kept, claim = self._look(client, places, str(call.fingerprint))
            if (kept["fingerprint"] if kept else claim or call.fingerprint) != call.fingerprint:
                raise KeyReused
            if kept is not None:
                return kept
            if claim is None or call.redelivered:  # redelivered: whoever marked it is gone
                return None
            if time.monotonic() >= give_up_at:
                raise StillRunning(retry_after=1)
            time.sleep(LOOK_AGAIN_SECONDS)

    def _look(self, client: redis.Redis, places: Places, fingerprint: str) -> tuple[dict[str, Any] | None, str | None]:
        """The answer, if there is one; else whose mark is there. ``None`` twice: the mark is ours.

        Raises :class:`KeysUsedUp` when there is no room for one more.
        """
        with _nothing_done(), reaching(client):
            packed, running, full_for = self._claim(
                keys=[places.records, places.order, places.running],
                args=[
                    places.operation,
                    fingerprint,
                    self._clock().timestamp(),
                    MEMORY_SECONDS,
                    math.ceil(LONGEST_RUN.total_seconds()),
                    MOST_BYTES,
                ],
                client=client,
            )
        if full_for:
            raise KeysUsedUp(retry_after=int(full_for))
        return _unpacked(packed) if packed else None, running or None

    def _run(self, client: redis.Redis, places: Places, fingerprint: str, work: Callable[[], Any]) -> Any:
        try:
            answer = work()
        except (*NOT_ANSWERS, KeyReused):
            self._unmark(client, places)
            raise
        except Refusal as refusal:
            with _nothing_done():
                self._keep(client, places, {"fingerprint": fingerprint, "refusal": refusal.to_wire()})
            raise
        except BaseException:
            self._unmark(client, places)
            raise
        self._keep(client, places, {"fingerprint": fingerprint, "answer": msgspec.to_builtins(answer)})
        return answer

    def _keep(self, client: redis.Redis, places: Places, outcome: dict[str, Any]) -> None:
        """Raises :class:`OutcomeUnknown` when it is not kept: a repetition then finds out.

        A connection that breaks says nothing of the server, and what is kept twice is kept once: so it is tried on
        another one, before somebody is told that nobody knows.
        """
        try:
            self._put(client, places, outcome)
        except OutcomeUnknown as unknown:
            if not isinstance(unknown.__cause__, redis.ConnectionError):
                raise
            self._put(client, places, outcome)

    def _put(self, client: redis.Redis, places: Places, outcome: dict[str, Any]) -> None:
        try:
            with reaching(client):
                self._keep_answer(
                    keys=[places.records, places.order, places.running],
                    args=[places.operation, _packed(outcome), self._clock().timestamp(), MEMORY_SECONDS],
                    client=client,
                )
        except Unavailable as fault:
            raise OutcomeUnknown from fault

    def _unmark(self, client: redis.Redis, places: Places) -> None:
        """If this fails, the mark ends by itself."""
        with suppress(redis.RedisError, OSError):
            client.delete(places.running)


class _nothing_done:  # noqa: N801  # reads like the function it is used as
    """What got no answer in this block may as well not have happened."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if isinstance(fault, OutcomeUnknown):
            raise Unavailable(retry_after=1) from fault


def _given(kept: dict[str, Any]) -> Any:
    if "refusal" in kept:
        raise known_refusals.from_wire(kept["refusal"])
    return kept["answer"]


def _packed(outcome: dict[str, Any]) -> str:
    """As text, because the client decodes what it reads; a cart of many lines is mostly repetition."""
    return b64encode(zlib.compress(orjson.dumps(outcome))).decode()


def _unpacked(packed: str) -> dict[str, Any]:
    outcome: dict[str, Any] = orjson.loads(zlib.decompress(b64decode(packed)))
    return outcome
