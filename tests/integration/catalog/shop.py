"""The catalog's use cases on a real database, each call in a transaction of its own, as its doors open them."""

import itertools
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from rpc_services.catalog import use_cases
from rpc_services.catalog.storage import (
    OutboxEvents,
    SqlBooks,
    SqlHolds,
    SqlImports,
    SqlListings,
    SqlProducts,
    SqlStocks,
)
from shared.contracts import catalog
from shared.values.identifiers import new_id

_numbers = itertools.count()


class Shop:
    def __init__(self, scope):
        self.scope = scope
        self.at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def clock(self):
        return self.at

    def wait(self, **span):
        self.at += timedelta(**span)

    def load(self, *rows):
        request = catalog.LoadProducts(rows=list(rows))
        with self.scope.writing() as session:
            return use_cases.load_products(
                request, imports=SqlImports(session), events=OutboxEvents(session), clock=self.clock
            )

    def a_category(self, *path):
        """Its id; made by loading a product into it."""
        sku = f"category-{next(_numbers)}"
        assert not self.load(a_row(sku=sku, category=list(path or ("Misc",)))).bad
        return self.get(self.ids(sku)[sku]).category.id

    def a_product(self, *, stock=10, category_id=None, **fields):
        number = next(_numbers)
        fields = {"name": f"Thing {number}", "description": "A thing.", "price": "10.00", **fields}
        return self.create(stock=stock, category_id=category_id or self.a_category(), **fields)

    def create(self, **fields):
        return self._with_products(use_cases.create_product, catalog.CreateProduct(**fields))

    def update(self, product_id, **fields):
        return self._with_products(use_cases.update_product, catalog.UpdateProduct(product_id=product_id, **fields))

    def delete(self, product_id, **fields):
        return self._with_products(use_cases.delete_product, catalog.DeleteProduct(product_id=product_id, **fields))

    def set_stock(self, product_id, on_hand, *, expected):
        request = catalog.SetStock(product_id=product_id, on_hand=on_hand, expected=expected)
        return self._with_products(use_cases.set_stock, request)

    def get(self, product_id):
        with self.scope.reading() as session:
            return use_cases.get_product(catalog.GetProduct(product_id=product_id), products=SqlProducts(session))

    def get_many(self, *product_ids):
        request = catalog.GetProducts(product_ids=list(product_ids))
        with self.scope.reading() as session:
            return use_cases.get_products(request, products=SqlProducts(session))

    def list(self, **fields):
        with self.scope.reading() as session:
            return use_cases.list_products(
                catalog.ListProducts(**fields), listings=SqlListings(session), currency="EUR"
            )

    def pages(self, **fields):
        cursor = None
        while True:
            page = self.list(cursor=cursor, **fields)
            yield page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def categories(self):
        with self.scope.reading() as session:
            return use_cases.list_categories(listings=SqlListings(session))

    def ids(self, *skus):
        with self.scope.reading() as session:
            return use_cases.list_skus(catalog.ListSkus(skus=list(skus)), listings=SqlListings(session))

    def reserve(self, order_id, *lines):
        items = [catalog.Line(product_id=product_id, quantity=quantity) for product_id, quantity in lines]
        request = catalog.ReserveStock(order_id=order_id, items=items)
        return self.scope.once(
            lambda session: use_cases.reserve_stock(
                request,
                products=SqlProducts(session),
                stocks=SqlStocks(session),
                holds=SqlHolds(session),
                clock=self.clock,
            )
        )

    def confirm(self, order_id):
        request = catalog.ConfirmStock(order_id=order_id)
        return self.scope.once(
            lambda session: use_cases.confirm_stock(
                request, stocks=SqlStocks(session), holds=SqlHolds(session), clock=self.clock
            )
        )

    def release(self, order_id):
        return self.scope.once(
            lambda session: use_cases.release_stock(
                order_id, stocks=SqlStocks(session), holds=SqlHolds(session), clock=self.clock
            )
        )

    def expire(self):
        with self.scope.writing() as session:
            return use_cases.expire_holds(stocks=SqlStocks(session), holds=SqlHolds(session), clock=self.clock)

    def audit(self, **fields):
        with self.scope.reading() as session:
            return use_cases.audit_stock(catalog.AuditStock(**fields), books=SqlBooks(session))

    def stock(self, product_id):
        """on hand, reserved"""
        with self.scope.reading() as session:
            return tuple(
                session.execute(
                    text("SELECT on_hand, reserved FROM stock WHERE product_id = :id"), {"id": product_id}
                ).one()
            )

    def ledger(self, product_id):
        with self.scope.reading() as session:
            query = text("SELECT reason, change FROM stock_movements WHERE product_id = :id ORDER BY id")
            return [tuple(row) for row in session.execute(query, {"id": product_id})]

    def events(self, product_id):
        """Versions that were announced."""
        with self.scope.reading() as session:
            query = text("SELECT data->>'version' FROM outbox WHERE aggregate_id = :id ORDER BY id")
            return [int(row[0]) for row in session.execute(query, {"id": f"product/{product_id}"})]

    def _with_products(self, use_case, request):
        return self.scope.once(
            lambda session: use_case(
                request, products=SqlProducts(session), events=OutboxEvents(session), clock=self.clock
            )
        )


def a_row(**fields):
    return {
        "sku": f"sku-{next(_numbers)}",
        "name": "Frozen waffles 12 oz",
        "description": "Crisp.",
        "price": "3.49",
        "category": ["Grocery", "Frozen"],
        "stock": 5,
        **fields,
    }


def an_order():
    return new_id()
