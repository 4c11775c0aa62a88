"""Every change through the catalog's own doors: sent twice, it has one effect and one answer."""

import msgspec
import pytest

from rpc_services.catalog.service import CatalogService
from shared.contracts import catalog
from shared.contracts.refusals import StaleVersion
from shared.values.identifiers import new_id
from tests.builders.sent_twice import Doors, everything_in
from tests.integration.catalog.shop import a_row, an_order

KEEPING = [method for method in catalog.METHODS if method.mutating and method.keeps_answer]


class Wishes:
    """Requests that change something, and would do so, or be refused, a second time."""

    def __init__(self, shop):
        self._shop = shop

    def create_product(self):
        return catalog.CreateProduct(
            name="A thing", description="Fine.", price="10.00", category_id=self._shop.a_category(), stock=5
        )

    def update_product(self):
        return catalog.UpdateProduct(product_id=self._shop.a_product().id, price="11.00")

    def delete_product(self):
        return catalog.DeleteProduct(product_id=self._shop.a_product().id)

    def set_stock(self):
        return catalog.SetStock(product_id=self._shop.a_product(stock=5).id, on_hand=7, expected=5)

    def reserve_stock(self):
        items = [catalog.Line(product_id=self._shop.a_product().id, quantity=2)]
        return catalog.ReserveStock(order_id=an_order(), items=items)

    def confirm_stock(self):
        return catalog.ConfirmStock(order_id=self._reserved())

    def release_stock(self):
        return catalog.ReleaseStock(order_id=self._reserved())

    def load_products(self):
        return catalog.LoadProducts(rows=[a_row(), a_row(price="free")])

    def _reserved(self):
        order_id = an_order()
        self._shop.reserve(order_id, (self._shop.a_product().id, 2))
        return order_id


@pytest.mark.parametrize("method", KEEPING, ids=lambda method: method.name)
def test_a_change_that_is_sent_twice_has_one_effect_and_one_answer(shop, scope, engine, method):
    doors, request = Doors(CatalogService, transactions=scope), getattr(Wishes(shop), method.name)()
    operation, before = {"operation_id": f"me/{new_id()}", "fingerprint": "f"}, everything_in(engine)

    first = doors.call(method, request, **operation)
    after = everything_in(engine)
    second = doors.call(method, request, **operation)

    assert len(after["operations"]) == len(before["operations"]) + 1
    assert not first.replayed
    assert "exc_type" not in first.said
    assert second == (first.said, True)
    assert everything_in(engine) == after


def test_stock_that_was_sold_meanwhile_is_written_over_by_nobody_and_a_repetition_is_answered(shop, scope):
    doors, product = Doors(CatalogService, transactions=scope), shop.a_product(stock=5)
    wish = catalog.UpdateProduct(product_id=product.id, stock=6, expected_version=1)
    operation = {"operation_id": f"me/{new_id()}", "fingerprint": "f", "beside_version": 5}

    first, again = (doors.call(catalog.UPDATE_PRODUCT, wish, **operation) for _ in range(2))
    shop.reserve(an_order(), (product.id, 4))
    late = msgspec.structs.replace(wish, expected_version=2)
    refused = doors.call(catalog.UPDATE_PRODUCT, late, operation_id=f"me/{new_id()}", beside_version=6)

    assert first.said["stock"] == 6
    assert again == (first.said, True)
    assert refused.said == StaleVersion(version=2).to_wire()
    assert shop.get(product.id).stock == 2
