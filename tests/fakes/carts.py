"""Carts in memory and a catalogue in memory. FakeCarts obeys the suite that the real carts obey."""

from dataclasses import replace
from datetime import UTC, datetime

from rpc_services.cart.domain import CartState, Changed, Outcome, Verb, refusal_for
from shared.contracts.cart import MAX_LINES, MAX_QUANTITY
from shared.contracts.catalog import Category, Product

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_product(product_id=1, **fields):
    usual = {
        "name": f"Thing {product_id}",
        "description": "",
        "price": "2.50",
        "currency": "EUR",
        "stock": 100,
        "image": f"/{product_id}.png",
        "category": Category(id=1, name="Things", description=""),
        "sku": f"T-{product_id}",
        "version": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    return Product(id=product_id, **(usual | fields))


class FakeProducts:
    """Sells what it is given. ``fault`` makes it raise."""

    def __init__(self, *products):
        self.products = {product.id: product for product in products}
        self.questions = []
        self.fault = None

    def find(self, product_ids):
        self.questions.append(list(product_ids))
        if self.fault:
            raise self.fault
        return {each: self.products[each] for each in product_ids if each in self.products}


class FakeCarts:
    def __init__(self, clock=lambda: START):
        self._clock = clock
        self._carts = {}
        self._operations = {}
        self._tokens = {}

    def look(self, owner):
        return self._carts.get(owner.key)

    def token_for(self, operation, token):
        return self._tokens.setdefault(operation.id, token)

    def change(self, owner, change):
        state = self._carts.get(owner.key)
        if state is None and not change.opens:
            raise refusal_for(Outcome.NO_CART, [])
        if (replayed := self._replayed(owner, change, state)) is not None:
            return replayed
        if state is not None and state.closed_by:
            if change.verb is Verb.CLOSE and state.closed_by == change.closed_by:
                return Changed(state=state)
            raise refusal_for(Outcome.CLOSED, [])
        version = state.version if state else 0
        if change.expected_version not in {None, version}:
            raise refusal_for(Outcome.STALE, [version])
        before = {line.product_id: line for line in state.lines} if state else {}
        lines, refused = _applied(change, dict(before))
        if change.operation:
            self._operations[owner.key, change.operation.id] = (change.verb, change.operation.fingerprint)
        settles = change.operation is not None and change.operation.settles
        if lines == before and not settles and change.verb is not Verb.CLOSE:
            return Changed(state=state)
        after = CartState(
            id=state.id if state else f"cart-{len(self._carts)}",
            version=version + 1,
            lines=tuple(lines.values()),
            expires_at=self._clock() + owner.lifetime,
            closed_by=change.closed_by,
        )
        self._carts[owner.key] = after
        return Changed(state=after, refused=tuple(refused))

    def repeated(self, owner, change):
        return self._replayed(owner, change, self._carts.get(owner.key))

    def _replayed(self, owner, change, state):
        if change.operation is None:
            return None
        seen = self._operations.get((owner.key, change.operation.id))
        if seen is None:
            return None
        if seen != (change.verb, change.operation.fingerprint):
            raise refusal_for(Outcome.KEY_REUSED, [])
        return Changed(state=state)


def _applied(change, lines):
    if change.verb is Verb.CLEAR:
        return {}, []
    act = _VERBS.get(change.verb)
    refused = [wanted.product_id for wanted in change.lines if not act(wanted, lines.get(wanted.product_id), lines)]
    return lines, refused


def _add(wanted, here, lines):
    quantity = wanted.quantity + (here.quantity if here else 0)
    _check_room(wanted.product_id, quantity, here, lines)
    lines[wanted.product_id] = replace(wanted, quantity=quantity)
    return True


def _set(wanted, here, lines):
    if here is None:
        raise refusal_for(Outcome.NO_ITEM, [wanted.product_id])
    _check_room(wanted.product_id, wanted.quantity, here, lines)
    lines[wanted.product_id] = replace(here, quantity=wanted.quantity)
    return True


def _remove(wanted, here, lines):
    if here is None:
        raise refusal_for(Outcome.NO_ITEM, [wanted.product_id])
    del lines[wanted.product_id]
    return True


def _subtract(wanted, here, lines):
    if here is not None and here.quantity > wanted.quantity:
        lines[wanted.product_id] = replace(here, quantity=here.quantity - wanted.quantity)
    else:
        lines.pop(wanted.product_id, None)
    return True


def _merge(wanted, here, lines):
    if here is None and len(lines) >= MAX_LINES:
        return False
    lines[wanted.product_id] = replace(here, quantity=max(here.quantity, wanted.quantity)) if here else wanted
    return True


_VERBS = {Verb.ADD: _add, Verb.SET: _set, Verb.REMOVE: _remove, Verb.SUBTRACT: _subtract, Verb.MERGE: _merge}


def _check_room(product_id, quantity, here, lines):
    if quantity > MAX_QUANTITY:
        raise refusal_for(Outcome.LIMIT, [product_id, quantity, MAX_QUANTITY])
    if here is None and len(lines) >= MAX_LINES:
        raise refusal_for(Outcome.LIMIT, [product_id, len(lines) + 1, MAX_LINES])
