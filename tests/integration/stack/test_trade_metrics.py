"""What the shop earns, sells and lacks is counted once by whoever did it, whatever is asked for twice."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.builders.shop import a_customer, a_product, an_admin, unique
from tests.builders.waiting import eventually
from tests.stack_fixture import kirana


class Ledger:
    """How much a program's metrics have grown since this was made."""

    def __init__(self, stack, program):
        self._address = stack.metrics[program]
        self._before = self._samples()

    def __call__(self, name, **labels):
        now = self._samples()
        return sum(
            value - self._before.get(key, 0)
            for key, value in now.items()
            if key[0] == name and labels.items() <= dict(key[1]).items()
        )

    def now(self, name):
        """As it stands, summed."""
        return sum(value for (named, _), value in self._samples().items() if named == name)

    def _samples(self):
        answer = eventually(lambda: httpx.get(self._address, timeout=10), despite=(httpx.TransportError,))
        families = text_string_to_metric_families(answer.text)
        return {
            (each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples
        }


@pytest.fixture(scope="module")
def settled(stack):
    """Nothing is under way any more that others began: its end would be counted here."""
    kirana(stack.home, "audit", "--wait", "30")


@pytest.fixture
def shop(stack, settled):
    """An administrator, a customer, and the ledgers of orders, stock and carts."""
    with an_admin(stack) as admin, a_customer(stack) as customer:
        yield admin, customer, *(Ledger(stack, f"{service}-1") for service in ("order", "catalog", "cart"))


def test_an_order_is_sold_once_and_given_back_once_however_often_it_is_asked_for(shop):
    admin, customer, orders, stock, _ = shop
    product, key = a_product(admin, price="9.50")["id"], unique("key")

    placed = [customer.ordering((product, 2), key=key) for _ in range(2)]
    order_id = placed[0].json()["id"]
    cancelled = customer.post(f"/api/orders/{order_id}/cancel", headers={"Idempotency-Key": unique("key")})

    assert [each.status_code for each in placed] == [201, 201]
    assert cancelled.status_code == 200, cancelled.text
    total = round(100 * float(placed[0].json()["total"]))
    money = "kirana_orders_revenue_minor_units_total"
    assert [orders("kirana_orders_total", outcome=each) for each in ("opened", "confirmed", "cancelled")] == [1, 1, 1]
    assert [orders(money, kind=kind, currency="EUR") for kind in ("taken", "given_back")] == [total, total]
    holds = "kirana_stock_holds_total"
    eventually(lambda: stock(holds, outcome="released") == 1, what="the stock of the cancelled order")
    assert [stock(holds, outcome=each) for each in ("reserved", "sold", "short")] == [1, 1, 0]


def test_an_order_for_more_than_there_is_counts_as_short_and_earns_nothing(shop):
    admin, customer, orders, stock, _ = shop

    refused = customer.ordering((a_product(admin, stock=1)["id"], 2))

    assert refused.status_code == 409, refused.text
    assert orders("kirana_orders_total", outcome="out_of_stock") == 1
    assert orders("kirana_orders_total", outcome="confirmed") == 0
    assert orders("kirana_orders_revenue_minor_units_total") == 0
    assert stock("kirana_stock_holds_total", outcome="short") == 1
    assert stock("kirana_stock_holds_total", outcome="reserved") == 0


def test_a_cart_with_something_in_it_is_a_change_and_an_open_cart(shop):
    admin, customer, _, _, carts = shop
    product = a_product(admin)["id"]

    added = customer.post("/api/cart/items", json={"product_id": product, "quantity": 1})

    assert added.status_code == 200, added.text
    assert carts("kirana_cart_changes_total", change="add") == 1
    eventually(lambda: carts.now("kirana_carts_open") >= 1, within=60, what="an open cart")


def test_a_product_of_which_nothing_is_left_is_among_those_that_are_gone(shop):
    admin, _, _, stock, _ = shop

    a_product(admin, stock=0)

    eventually(lambda: stock.now("kirana_stock_gone_products") >= 1, within=60, what="a product that is gone")
