"""A desk in memory and a store room in memory, with faults to order. FakeDesk obeys the suite of the real desk."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from msgspec import to_builtins

from rpc_services.order.answers import show
from rpc_services.order.domain import Item, Order, PaymentStatus, Status, Terms
from rpc_services.order.saga import Saga
from shared.contracts.cart import CartOrdered
from shared.contracts.catalog import OutOfStock, ReservationLost, ReservedLine
from shared.contracts.order import PaymentDeclined
from shared.contracts.refusals import StillRunning
from shared.values.identifiers import new_id, new_order_number
from tests.fakes.carts import a_product

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LEASE = timedelta(seconds=10)


def an_order(*wanted, at=START, **fields):
    """``wanted`` are pairs of product id and quantity; by default two of product 1."""
    terms = {name: fields.pop(name) for name in ("payment_token", "expected_total", "from_cart") if name in fields}
    lines = wanted or ((1, 2),)
    items = tuple(Item(id=new_id(), product_id=product_id, quantity=quantity) for product_id, quantity in lines)
    usual = {"id": new_id(), "number": new_order_number(), "user_id": "me", "operation_id": f"me/{new_id()}"}
    return Order(items=items, terms=Terms(**terms), created_at=at, updated_at=at, **(usual | fields))


def a_confirmed_order(*wanted, payment=PaymentStatus.PENDING, at=START, **fields):
    order = an_order(*wanted, at=at, **fields)
    lines = [ReservedLine(product=a_product(item.product_id), quantity=item.quantity) for item in order.items]
    return order.priced(lines).confirmed(payment, at)[0]


class Faults:
    """Raises what was ordered when a step of that name is reached: ``before`` its effect, or ``after`` it."""

    def __init__(self):
        self._ordered = {}

    def order(self, step, fault, *, when="before"):
        self._ordered.setdefault((step, when), []).append(fault)

    def meet(self, step, when="before"):
        if self._ordered.get((step, when)):
            raise self._ordered[step, when].pop(0)


class FakeStock:
    """So many of each product. Idempotent by order id, as the catalogue is."""

    def __init__(self, faults=None):
        self.faults = faults or Faults()
        self.products = {1: a_product(1, price="2.50"), 2: a_product(2, price="10.00")}
        self.free = {1: 100, 2: 100}
        self.holds = {}

    def reserve(self, order):
        self.faults.meet("reserve")
        state, lines = self.holds.get(order.id, (None, None))
        if state == "released":
            raise ReservationLost(order_id=order.id)
        if state is None:
            shortages = [item.product_id for item in order.items if self.free.get(item.product_id, 0) < item.quantity]
            if shortages:
                raise OutOfStock(shortages=shortages)
            lines = [
                ReservedLine(product=self.products[item.product_id], quantity=item.quantity) for item in order.items
            ]
            for line in lines:
                self.free[line.product.id] -= line.quantity
            self.holds[order.id] = ("held", lines)
        self.faults.meet("reserve", "after")
        return lines

    def confirm(self, order):
        self.faults.meet("confirm stock")
        state, lines = self.holds.get(order.id, (None, None))
        if state not in {"held", "sold"}:
            raise ReservationLost(order_id=order.id)
        self.holds[order.id] = ("sold", lines)
        self.faults.meet("confirm stock", "after")

    def release(self, order):
        self.faults.meet("release")
        state, lines = self.holds.get(order.id, (None, []))
        if state in {"held", "sold"}:
            for line in lines:
                self.free[line.product.id] += line.quantity
        self.holds[order.id] = ("released", lines)
        self.faults.meet("release", "after")

    def state_of(self, order):
        return self.holds.get(order.id, (None, None))[0]


class FakePayments:
    """Declines when told to, and knows what it has authorized."""

    def __init__(self, faults=None):
        self.faults = faults or Faults()
        self.declines = False
        self.authorized = set()
        self.voided = []

    def check(self, token):
        pass

    def authorize(self, order_id, amount, token):
        del amount, token
        self.faults.meet("authorize")
        if self.declines:
            raise PaymentDeclined
        self.authorized.add(order_id)
        self.faults.meet("authorize", "after")
        return PaymentStatus.AUTHORIZED

    def void(self, order_id):
        self.faults.meet("void")
        self.authorized.discard(order_id)
        self.voided.append(order_id)
        self.faults.meet("void", "after")


class FakeBook:
    """What every desk of the same service shares."""

    def __init__(self):
        self.orders, self.operations, self.leases, self.events, self.history = {}, {}, {}, [], {}


class FakeDesk:
    def __init__(self, book, operation_id=None, *, clock=lambda: START, redelivered=False):
        self._book, self._operation_id, self._clock, self._redelivered = book, operation_id, clock, redelivered

    def first_answer(self):
        if self._operation_id not in self._book.operations:
            return None
        ended = self._book.operations[self._operation_id]
        if ended is None:
            raise StillRunning(retry_after=1)
        if isinstance(ended, Exception):
            raise ended
        return ended

    def checkouts(self, user_id):
        mine = [order for order in self._book.orders.values() if order.user_id == user_id and order.terms.from_cart]
        return [order for order in mine if order.status is not Status.REJECTED]

    def open(self, order, *, settled=()):
        earlier = self.first_answer()
        if order.terms.from_cart and {other.id for other in self.checkouts(order.user_id)} - {*settled}:
            raise CartOrdered
        if earlier is None:
            self._book.operations[order.operation_id] = None
            self._book.orders[order.id] = order
            self._book.leases[order.id] = self._clock() + LEASE
        return earlier

    def confirm(self, order, steps):
        if self._book.orders[order.id].status is Status.PENDING:
            self._book.orders[order.id] = order
            self._book.history[order.id] = steps
            self._book.events.append(order.id)
            self._book.operations[order.operation_id] = to_builtins(show(order))
        return self._book.orders[order.id]

    def reject(self, order, refusal, *, release_due):
        if self._book.orders[order.id].status is Status.PENDING:
            self._book.orders[order.id] = replace(order, status=Status.REJECTED, release_due=release_due)
            self._book.leases[order.id] = self._clock() + LEASE
            self._book.operations[order.operation_id] = refusal
        return self._book.orders[order.id]

    def released(self, order_id):
        self._book.orders[order_id] = replace(self._book.orders[order_id], release_due=False)

    def withdraw(self, order):
        if self._book.orders[order.id].status is not Status.PENDING:
            return False
        del self._book.orders[order.id], self._book.operations[order.operation_id]
        return True

    def take_up(self):
        for order in self._book.orders.values():
            if (order.status is Status.PENDING or order.release_due) and self._book.leases[order.id] <= self._clock():
                self._book.leases[order.id] = self._clock() + LEASE
                return order
        return None

    def inherit(self):
        for order in self._book.orders.values():
            if self._redelivered and order.operation_id == self._operation_id and order.status is Status.PENDING:
                self._book.leases[order.id] = self._clock() + LEASE
                return order
        return None


class FaultyDesk:
    """Another desk, with faults to order before and after each step."""

    def __init__(self, desk, faults):
        self._desk, self._faults = desk, faults

    def __getattr__(self, step):
        def act(*arguments, **keywords):
            self._faults.meet(step)
            given = getattr(self._desk, step)(*arguments, **keywords)
            self._faults.meet(step, "after")
            return given

        return act


def a_saga(desk, stock, payments, *, clock=lambda: START):
    return Saga(desk=desk, stock=stock, payments=payments, clock=clock, show=show)
