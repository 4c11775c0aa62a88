"""Events out of order, doubled and late: whatever comes when, the shop ends up with the same data."""

import json
from contextlib import closing, contextmanager

import psycopg2
import pytest
from amqp import Message
from kombu import Connection

from tests.builders.opening import opened
from tests.builders.shop import a_customer, a_product, an_admin, settled, unique
from tests.builders.told import told
from tests.builders.waiting import eventually

pytestmark = pytest.mark.takes(15)

EXCHANGE = "order.events"
HANDLERS = {
    "order.placed": ("cart.on_order_placed", "notification.on_order_placed"),
    "order.cancelled": ("catalog.on_order_cancelled", "notification.on_order_cancelled"),
}
JSON = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2}
STOCK = 100


def queue_of(event_type, handler):
    return f"evt-order-{event_type}--{handler}"


class Withheld:
    """The events of orders, kept from those who handle them until they are played."""

    def __init__(self, stack, channel):
        self._stack = stack
        self._channel = channel
        self._queue = channel.queue_declare("", exclusive=True).queue
        self._envelopes = {}

    @contextmanager
    def kept(self):
        for event_type, handlers in HANDLERS.items():
            self._channel.queue_bind(self._queue, EXCHANGE, event_type)  # somebody must hear it, or it is not sent
            for handler in handlers:
                self._channel.queue_unbind(queue_of(event_type, handler), EXCHANGE, event_type)
        try:
            yield
            eventually(lambda: self._envelopes.keys() == HANDLERS.keys() or self._listen(), what="both events")
        finally:
            for event_type, handlers in HANDLERS.items():
                for handler in handlers:
                    self._channel.queue_bind(queue_of(event_type, handler), EXCHANGE, event_type)

    def play(self, event_type, *, times):
        """To its handlers alone, and wait until each has handled all of them."""
        programs = [f"{handler.partition('.')[0]}-1" for handler in HANDLERS[event_type]]
        before = {program: self._handled(program, event_type) for program in programs}
        for handler in HANDLERS[event_type]:
            for _ in range(times):
                message = Message(self._envelopes[event_type], **JSON)
                self._channel.basic_publish(message, "", queue_of(event_type, handler))
        for program in programs:
            wanted = before[program] + times
            eventually(lambda p=program, w=wanted: self._handled(p, event_type) >= w, what=f"{event_type}, {program}")

    def sequences(self):
        return {event_type: json.loads(body)["sequence"] for event_type, body in self._envelopes.items()}

    def _listen(self):
        while message := self._channel.basic_get(self._queue, no_ack=True):
            self._envelopes[message.delivery_info["routing_key"]] = message.body

    def _handled(self, program, event_type):
        where = self._stack.metrics[program]
        return told(where, "kirana_events_handled_total", type=event_type, outcome="handled")


@pytest.fixture
def withheld(stack):
    with Connection(opened(stack).amqp) as connection:
        yield Withheld(stack, connection.channel())


def letters_about(stack, order):
    """The template and state of each, in the order in which they were written."""
    with closing(psycopg2.connect(stack.postgres["notification"])) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT template, state FROM deliveries WHERE about = %s ORDER BY id", (order["id"],))
        return cursor.fetchall()


@pytest.mark.parametrize(
    ("played", "letters"),
    [
        (["order.placed", "order.cancelled"], ["order_confirmed", "order_cancelled"]),
        (["order.cancelled", "order.placed"], ["order_cancelled"]),
        (["order.cancelled", "order.placed", "order.cancelled", "order.placed"], ["order_cancelled"]),
        (["order.placed", "order.cancelled", "order.placed"], ["order_confirmed", "order_cancelled"]),
    ],
    ids=["in order", "backwards", "backwards, twice", "late"],
)
def test_in_whatever_order_events_come_stock_cart_and_letters_end_up_right(stack, withheld, played, letters):
    with an_admin(stack) as admin, a_customer(stack) as customer:
        product = a_product(admin, stock=STOCK)["id"]

        def change(path, body):
            key = {"Idempotency-Key": unique("key")}
            return settled(lambda: customer.post(path, json=body, headers=key))

        with withheld.kept():
            change("/api/cart/items", {"product_id": product, "quantity": 3})
            order = change("/api/cart/checkout", {}).json()
            eventually(lambda: not settled(lambda: customer.get("/api/cart")).json()["items"], what="an empty cart")
            change("/api/cart/items", {"product_id": product, "quantity": 2})
            change(f"/api/orders/{order['id']}/cancel", {})

        for event_type in played:
            withheld.play(event_type, times=2)

        items = settled(lambda: customer.get("/api/cart")).json()["items"]
        page = f"/api/products/{product}"
        eventually(lambda: settled(lambda: customer.get(page)).json()["stock"] == STOCK, what="the stock's return")
        eventually(lambda: {state for _, state in letters_about(stack, order)} == {"sent"}, what="the letters' posting")

    assert withheld.sequences() == {"order.placed": 1, "order.cancelled": 2}
    assert [(item["product_id"], item["quantity"]) for item in items] == [(product, 2)]
    assert [template for template, _ in letters_about(stack, order)] == letters
