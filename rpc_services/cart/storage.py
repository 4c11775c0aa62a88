"""Carts in Redis, changed only by one script, and not acknowledged before the journal has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
import redis

from rpc_services.cart.domain import CartLine, CartState, Change, Changed, Operation, Outcome, Owner, Snapshot
from rpc_services.cart.domain import refusal_for as _refusal_for
from rpc_services.cart.journal import Effect, Journal, Stored
from rpc_services.cart.records import MEMORY, places_of, script
from rpc_services.cart.shards import AWAY, NOT_TAKING_WRITES, Shards, reaching
from rpc_services.cart.trails import TRAIL
from shared.contracts.cart import MAX_LINES, MAX_QUANTITY
from shared.contracts.refusals import DeadlinePassed, OutcomeUnknown, Unavailable
from shared.messaging.call import current
from shared.metrics import trade
from shared.values.identifiers import NewId
from shared.values.times import Clock

REMEMBERED_OPERATIONS = 100
"""Of those without a key, which only the broker can bring again, and of orders and merges."""

MOST_QUESTIONS = 5
"""A cart that others change so fast that the journal is behind each time is busy; a round trip each."""

LOOK = "look"
SETTLED = frozenset({Outcome.DONE, Outcome.REPLAYED})

Fields = dict[str, str]


Seen = dict[Owner, Fields | Exception]
Together = Callable[[Callable[[Sequence[Owner]], Seen]], Callable[[Owner], Fields | None]]
"""Makes a look at many carts into one at a single cart, which may be taken together with others'."""


def one_by_one(look_at: Callable[[Sequence[Owner]], Seen]) -> Callable[[Owner], Fields | None]:
    """Nobody waits for anybody."""

    def look(owner: Owner) -> Fields | None:
        seen = look_at([owner])[owner]
        if isinstance(seen, Exception):
            raise seen
        return seen

    return look


class RedisCarts:
    """Carts on their shards. The journal's state wins over a Redis that has lost the cart or fallen behind."""

    def __init__(
        self, shards: Shards, journal: Journal, *, clock: Clock, new_id: NewId, together: Together = one_by_one
    ) -> None:
        self._shards = shards
        self._looks = {client: together(partial(self._look_at, client)) for client in shards.clients}
        self._journal = journal
        self._clock = clock
        self._new_id = new_id
        self._change = script("change.lua")
        self._discard = script("discard.lua")

    def look(self, owner: Owner) -> CartState | None:
        """The cart, brought back from the journal if need be."""
        fields = self._looks[self._shards.client_for(owner.key)](owner)
        return _state(fields) if fields else None

    def change(self, owner: Owner, change: Change) -> Changed:
        """Run the script, then make its result durable, also when it is only repeated."""
        outcome, details, fields = self._run(owner, _ask(change), change.operation)
        if outcome not in SETTLED:
            raise _refusal_for(outcome, details)
        self._keep(owner, fields, change, outcome)
        if outcome is Outcome.DONE:
            trade.cart_changed(change.verb.value)
        return Changed(state=_state(fields), refused=tuple(details))

    def repeated(self, owner: Owner, change: Change) -> Changed | None:
        """The cart, made durable, when this change had its effect before; else nothing is done."""
        outcome, details, fields = self._run(owner, _ask(change) | {"verb": LOOK}, change.operation)
        if outcome is Outcome.KEY_REUSED:
            raise _refusal_for(outcome, details)
        if outcome is not Outcome.REPLAYED:
            return None
        self._keep(owner, fields, change, outcome)
        return Changed(state=_state(fields))

    def token_for(self, operation: Operation, token: str) -> str:
        """Remember the token under the operation, or give the one that is remembered."""
        key = f"cart-token:{_digest(operation.id, 32)}"
        client = self._shards.client_for(key)
        with _looking(), reaching(client):
            earlier = client.set(key, token, nx=True, get=True, ex=MEMORY)
        return str(earlier or token)

    def forget_expired(self) -> int:
        """Drop what expired from the journal. Gives how many carts."""
        return self._journal.forget_expired(now=self._now())

    def count_open(self) -> int:
        """Carts that have something in them. Raises :class:`Unavailable` when the journal cannot be read."""
        return self._journal.count_open(now=self._now())

    def _look_at(self, client: redis.Redis, owners: Sequence[Owner]) -> Seen:
        """The carts of one server as they are there, unless the journal knows better: those are brought back."""
        now = self._now()
        kept = {owner: self._journal.read(owner.key, now=now) for owner in owners}
        with _looking(), reaching(client), client.pipeline(transaction=False) as pipeline:
            for owner in owners:
                pipeline.hgetall(_key(owner))
            found = pipeline.execute(raise_on_error=False)
        return {owner: self._as_kept(owner, fields, kept[owner]) for owner, fields in zip(owners, found, strict=True)}

    def _as_kept(self, owner: Owner, fields: Any, stored: Stored | None) -> Fields | Exception:
        if isinstance(fields, NOT_TAKING_WRITES):
            return Unavailable(retry_after=1)
        if isinstance(fields, Exception) or stored is None or int(fields.get("version", 0)) >= stored.version:
            return fields  # type: ignore[no-any-return]  # what HGETALL gives
        try:
            with _looking():
                _, _, brought_back = self._run(owner, {"verb": LOOK})
        except Exception as fault:  # noqa: BLE001  # the fate of this cart alone
            return fault
        return brought_back

    def _run(
        self, owner: Owner, ask: dict[str, Any], operation: Operation | None = None
    ) -> tuple[Outcome, list[int], Fields]:
        for _ in range(MOST_QUESTIONS):
            outcome, details, fields = self._run_once(owner, dict(ask), operation)
            if outcome is not Outcome.ASKED_TOO_EARLY:
                return outcome, details, fields
        raise Unavailable(retry_after=1)

    def _run_once(
        self, owner: Owner, ask: dict[str, Any], operation: Operation | None
    ) -> tuple[Outcome, list[int], Fields]:
        now = self._now()
        stored = self._journal.read(owner.key, now=now)  # before the effect: a trail tells of what comes in between
        if operation is not None and operation.is_keyed:
            ask["effect"] = _effect(owner, operation)
            ask["known"] = self._journal.find_effect(ask["effect"], now=now) or ""
        if stored is not None:
            ask |= {
                "stored": [part for pair in orjson.loads(stored.fields).items() for part in pair],
                "stored_version": str(stored.version),
                "stored_expires_at": str(stored.expires_at),
            }
        ask |= {
            "now": str(int(self._clock().timestamp() * 1_000_000)),
            "expires_at": str(now + int(owner.lifetime.total_seconds() * 1000)),
            "new_id": self._new_id(),
        }
        client = self._shards.client_for(owner.key)
        if (deadline := current().deadline) is not None and deadline.has_passed():
            raise DeadlinePassed
        with reaching(client):
            outcome, details, flat = self._change(keys=_keys(owner), args=[orjson.dumps(ask)], client=client)
        return Outcome(outcome), [int(each) for each in details], dict(zip(flat[::2], flat[1::2], strict=True))

    def _keep(self, owner: Owner, fields: Fields, change: Change, outcome: Outcome) -> None:
        now, operation, trail = self._now(), change.operation, fields.get(TRAIL)
        stored = Stored(
            owner=owner.key,
            version=int(fields["version"]),
            expires_at=int(fields["expires_at"]),
            fields=orjson.dumps({TRAIL: trail, **fields} if trail else fields).decode(),
        )
        effect = None
        if operation is not None and operation.is_keyed:
            until = now + int(MEMORY.total_seconds() * 1000)
            effect = Effect(id=_effect(owner, operation), fingerprint=_fingerprint(change), expires_at=until)
        try:
            self._journal.keep(stored, now=now, effect=effect, operation=_name(operation))
        except Unavailable as fault:
            if self._undo(owner, fields) and outcome is Outcome.DONE:
                raise
            raise OutcomeUnknown from fault

    def _undo(self, owner: Owner, fields: Fields) -> bool:
        """Take back what could not be journalled. When others built on it already, nobody can say it did not happen.

        Nor is it known of what is only repeated: the first time it may have been journalled.
        """
        args = [fields["version"], fields.get(TRAIL, "")]
        try:
            return bool(self._discard(keys=_keys(owner), args=args, client=self._shards.client_for(owner.key)))
        except (redis.RedisError, *AWAY):
            return False

    def _now(self) -> int:
        return int(self._clock().timestamp() * 1000)


@contextmanager
def _looking() -> Iterator[None]:
    """What got no answer here may as well not have happened."""
    try:
        yield
    except OutcomeUnknown as unknown:
        raise Unavailable(retry_after=1) from unknown


def _ask(change: Change) -> dict[str, Any]:
    operation = change.operation
    expected = change.expected_version
    return {
        "verb": change.verb.value,
        "lines": [_line_for_script(line) for line in change.lines],
        "operation": _name(operation),
        "fingerprint": _fingerprint(change),
        "settles": operation is not None and operation.settles,
        "keyed": operation is not None and operation.is_keyed,
        "memory": int(MEMORY.total_seconds()),
        "expected_version": "" if expected is None else str(expected),
        "opens": change.opens,
        "closed_by": change.closed_by,
        "max_lines": MAX_LINES,
        "max_quantity": MAX_QUANTITY,
        "max_remembered": REMEMBERED_OPERATIONS,
    }


def _line_for_script(line: CartLine) -> dict[str, Any]:
    asked: dict[str, Any] = {"id": str(line.product_id), "quantity": line.quantity}
    return asked if line.snapshot is None else asked | {"snapshot": orjson.dumps(line.snapshot).decode()}


def _state(fields: Fields) -> CartState:
    lines = []
    for name in fields:
        if name.startswith("q:"):
            first_added, _, snapshot = fields[f"s:{name[2:]}"].partition("|")
            line = CartLine(
                product_id=int(name[2:]), quantity=int(fields[name]), snapshot=Snapshot(**orjson.loads(snapshot))
            )
            lines.append((int(first_added), line.product_id, line))
    return CartState(
        id=fields["id"],
        version=int(fields["version"]),
        lines=tuple(line for _, _, line in sorted(lines, key=lambda each: each[:2])),
        expires_at=datetime.fromtimestamp(int(fields["expires_at"]) / 1000, UTC),
        closed_by=fields["closed_by"],
    )


def _key(owner: Owner) -> str:
    return f"cart:{owner.key}"


def _keys(owner: Owner) -> list[str]:
    places = places_of(owner, "")
    return [_key(owner), places.records, places.order]


def _name(operation: Operation | None) -> str:
    """How a cart in Redis calls an operation."""
    return _digest(operation.id, 32) if operation else ""


def _fingerprint(change: Change) -> str:
    return _digest(f"{change.verb} {change.operation.fingerprint}", 16) if change.operation else ""


def _effect(owner: Owner, operation: Operation) -> str:
    """How the journal, which keeps those of all carts together, calls it."""
    return _digest(f"{owner.key} {operation.id}", 32)


def _digest(text: str, length: int) -> str:
    return sha256(text.encode()).hexdigest()[:length]
