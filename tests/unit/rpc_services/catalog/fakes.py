"""The catalog's ports kept in dictionaries."""

from dataclasses import replace

from rpc_services.catalog.domain import Category, Product, Reason, State, Stock
from rpc_services.catalog.paging import Position
from shared.contracts.catalog import SkuTaken


class FakeProducts:
    def __init__(self, stocks, categories):
        self._stocks = stocks
        self._categories = {category.id: category for category in categories}
        self._products = {}

    def put(self, product):
        self._products[product.id] = product
        self._stocks.on_shelf[product.id] = product.stock
        return product

    def find(self, product_ids):
        return [
            replace(self._products[product_id], stock=self._stocks.on_shelf[product_id])
            for product_id in sorted(set(product_ids) & self._products.keys())
        ]

    def lock(self, product_id):
        return next(iter(self.find([product_id])), None)

    def add(self, draft):
        product_id = max(self._products, default=0) + 1
        sku = draft.sku or f"K-{product_id}"
        self._refuse_taken(sku, product_id)
        fields = {name: getattr(draft, name) for name in ("name", "description", "price", "image", "category", "stock")}
        return self.put(Product(id=product_id, sku=sku, version=1, created_at=draft.at, updated_at=draft.at, **fields))

    def save(self, before, after):
        self._refuse_taken(after.sku, after.id)
        if after.stock != before.stock:
            self._stocks.ledger.append((after.id, after.stock.on_hand - before.stock.on_hand, Reason.COUNTED))
        self.put(after)

    def remove(self, product):
        del self._products[product.id]

    def category(self, category_id):
        return self._categories.get(category_id)

    def _refuse_taken(self, sku, product_id):
        if any(other.sku == sku and other.id != product_id for other in self._products.values()):
            raise SkuTaken(sku=sku)


class FakeStocks:
    """``on_shelf`` by product id. Stock that was not locked cannot be moved."""

    def __init__(self):
        self.on_shelf = {}
        self.ledger = []
        self._locked = set()

    def lock(self, product_ids):
        self._locked |= set(product_ids)
        return {product_id: self.on_shelf[product_id] for product_id in product_ids}

    def move(self, demand, move, *, order_id, at):
        del order_id, at  # only the ledger of a database names them
        assert set(demand) <= self._locked
        for product_id, quantity in demand.items():
            old = self.on_shelf[product_id]
            new = Stock(old.on_hand + move.on_hand * quantity, old.reserved + move.reserved * quantity)
            assert 0 <= new.reserved <= new.on_hand
            self.on_shelf[product_id] = new
            if move.reason:
                self.ledger.append((product_id, move.on_hand * quantity, move.reason))


class FakeHolds:
    def __init__(self):
        self.known = {}
        self._lines = {}

    def claim(self, hold, at):
        del at
        known = self.known.get(hold.order_id)
        if known is None:
            self.known[hold.order_id] = hold
        return known

    def lock(self, order_id):
        return self.known.get(order_id)

    def lock_overdue(self, at, limit):
        overdue = [hold for hold in self.known.values() if hold.state is State.HELD and hold.expires_at < at]
        return overdue[:limit]

    def write_lines(self, order_id, lines):
        self._lines[order_id] = list(lines)

    def lines(self, order_id):
        return self._lines.get(order_id, [])

    def turn(self, hold, at):
        del at
        self.known[hold.order_id] = hold


class FakeEvents:
    def __init__(self):
        self.changed = []

    def product_changed(self, product):
        self.changed.append((product.id, product.version))


class FakeListings:
    """Knows products by the words of their names; ``likeness`` finds names with the same first letter."""

    def __init__(self, products=()):
        self._products = list(products)

    def page(self, filters, after, limit):
        found = [product for product in self._products if self._matches(product, after.match, filters.words)]
        found = [product for product in found if after.id is None or product.id > after.id]
        key = 0.0 if after.order == "relevance" else None
        return [
            (product, Position(order=after.order, match=after.match, key=key, id=product.id))
            for product in found[:limit]
        ]

    def has_words(self, words):
        return any(words in product.name.split() for product in self._products)

    def categories(self):
        return [Category(1, None, "Food", ""), Category(3, 1, "Bread", ""), Category(2, None, "Soap", "")]

    def ids_by_sku(self, skus):
        return {product.sku: product.id for product in self._products if product.sku in skus}

    @staticmethod
    def _matches(product, match, words):
        if match == "likeness":
            return product.name[0] == words[0]
        return words is None or words in product.name.split()


class FakeImports:
    def __init__(self):
        self.rows = []

    def upsert(self, rows, at):
        del at
        self.rows += rows
        return len(rows), []
