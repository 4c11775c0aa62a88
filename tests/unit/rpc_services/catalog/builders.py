"""Products as tests need them: each says only what matters."""

from datetime import UTC, datetime

from rpc_services.catalog.domain import Category, Product, Stock
from shared.values.money import Money

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FOOD = Category(1, None, "Food", "")
SOAP = Category(2, None, "Soap", "")


def a_product(product_id=1, *, on_hand=10, reserved=0, price="10.00", currency="EUR", **fields):
    known = {
        "sku": f"K-{product_id}",
        "name": f"Thing {product_id}",
        "description": "",
        "image": "",
        "category": FOOD,
        "version": 1,
        "created_at": NOON,
        "updated_at": NOON,
    }
    money = Money.parse(price, currency)
    return Product(id=product_id, price=money, stock=Stock(on_hand, reserved), **{**known, **fields})
