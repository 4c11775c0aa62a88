"""What the catalog does: show products, change them, and hold, sell and give back their stock."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import msgspec
from msgspec import UNSET

from rpc_services.catalog import domain, paging
from rpc_services.catalog.domain import Category, Demand, Draft, Hold, Product, State, Stock
from rpc_services.catalog.ports import Books, Events, Holds, Imports, Listings, OnSale, Products, Stocks
from shared.contracts import catalog, goods
from shared.contracts.method import Nothing
from shared.contracts.refusals import InvalidRequest
from shared.values.money import Money
from shared.values.times import Clock, to_rfc3339

SWEEP_BATCH = 100


def get_product(request: catalog.GetProduct, *, products: OnSale) -> catalog.Product:
    """One product. Raises ``ProductNotFound``."""
    found = products.find([request.product_id])
    if not found:
        raise catalog.ProductNotFound(product_ids=[request.product_id])
    return domain.answer_of(found[0])


def get_products(request: catalog.GetProducts, *, products: OnSale) -> list[catalog.Product]:
    """Those that exist, each once, in the order asked for."""
    found = {product.id: product for product in products.find(request.product_ids)}
    return [
        domain.answer_of(found[product_id]) for product_id in dict.fromkeys(request.product_ids) if product_id in found
    ]


def list_products(request: catalog.ListProducts, *, listings: Listings, currency: str) -> catalog.ProductPage:
    """A page of products. Without ``sort``: by relevance when ``q`` has words, else by id, the order that never moves.

    Words that no product has are looked for by likeness of names instead, so that a slip of the pen still finds.
    Raises ``InvalidRequest`` for a cursor of another list and for prices that are none in the shop's currency.
    """
    words = (request.q or "").strip() or None
    order = paging.order_of(request.sort, words)
    if faults := goods.faults_in_amounts(
        msgspec.structs.asdict(request), ["min_price", "max_price"], currency=currency
    ):
        raise InvalidRequest(errors=faults)
    filters = paging.Filters(
        category_id=request.category,
        words=words,
        currency=currency,
        min_price=_limit(request.min_price, currency),
        max_price=_limit(request.max_price, currency),
        in_stock=request.in_stock,
    )
    after = paging.unseal(request.cursor, order) if request.cursor else paging.start_of(order, words)
    found = listings.page(filters, after, request.limit + 1)
    if not found and words and not request.cursor and not listings.has_words(words):
        found = listings.page(filters, msgspec.structs.replace(after, match="likeness"), request.limit + 1)
    more = len(found) > request.limit
    page = found[: request.limit]
    return catalog.ProductPage(
        items=[domain.answer_of(product) for product, _ in page], next_cursor=paging.seal(page[-1][1]) if more else None
    )


def list_categories(*, listings: Listings) -> list[catalog.CategoryNode]:
    """The whole tree, each level by name."""
    return domain.tree_of(listings.categories())


def create_product(
    request: catalog.CreateProduct, *, products: Products, events: Events, clock: Clock
) -> catalog.Product:
    """Put a product on sale. Raises ``InvalidRequest`` (price, currency), ``CategoryNotFound``, ``SkuTaken``."""
    product = products.add(
        Draft(
            sku=request.sku,
            name=request.name,
            description=request.description,
            price=domain.price_of(request.price, request.currency),
            image=request.image,
            category=_category(request.category_id, products),
            stock=Stock(request.stock),
            at=clock(),
        )
    )
    events.product_changed(product)
    return domain.answer_of(product)


def update_product(
    request: catalog.UpdateProduct, *, products: Products, events: Events, clock: Clock, seen_stock: int | None = None
) -> catalog.Product:
    """Change what is given; ``stock`` is what shall be for sale, beside what is reserved.

    Who writes the stock over ``seen_stock`` is refused when it is another one now: sales make no new version.
    A change of nothing makes no new version. Raises ``ProductNotFound``, ``StaleVersion``, ``InvalidRequest``,
    ``CategoryNotFound``, ``SkuTaken``.
    """
    product = _locked(request.product_id, products)
    product.expect(request.expected_version, available=None if request.stock is UNSET else seen_stock)
    wanted = _changed(product, request, products)
    if wanted == product:
        return domain.answer_of(product)
    return _save(product, wanted.touched(clock()), products=products, events=events)


def delete_product(request: catalog.DeleteProduct, *, products: Products, events: Events, clock: Clock) -> Nothing:
    """Take it off sale; what is held or sold of it stays so. Raises ``ProductNotFound``, ``StaleVersion``."""
    product = _locked(request.product_id, products)
    product.expect(request.expected_version)
    gone = product.touched(clock())
    products.remove(gone)
    events.product_changed(gone)
    return Nothing()


def set_stock(request: catalog.SetStock, *, products: Products, events: Events, clock: Clock) -> catalog.Product:
    """Compare-and-set of what is on hand. Raises ``ProductNotFound``, ``StaleVersion``, ``StockConflict``."""
    product = _locked(request.product_id, products)
    product.expect(request.expected_version)
    wanted = replace(product, stock=product.stock.counted(request.on_hand, expected=request.expected))
    if wanted == product:
        return domain.answer_of(product)
    return _save(product, wanted.touched(clock()), products=products, events=events)


def reserve_stock(
    request: catalog.ReserveStock, *, products: Products, stocks: Stocks, holds: Holds, clock: Clock
) -> catalog.Reservation:
    """Hold all lines or none. A repetition gets the first answer, with the products as they were then.

    A hold that expired is taken anew at its first prices. Raises ``ProductNotFound`` naming every unknown product,
    ``OutOfStock`` naming every short line, ``ReservationLost`` when the order has been released.
    """
    at = clock()
    hold = Hold(domain.order_id_of(request.order_id), State.HELD, at + domain.HOLD_TIME)
    known = holds.claim(hold, at)
    if known is None:
        lines = _lines_of(request, products)
        _hold(hold, lines, stocks=stocks, at=at)
        holds.write_lines(hold.order_id, lines)
        return _reservation(hold, lines)
    known.refuse_if_released()
    lines = holds.lines(hold.order_id)
    if known.state is State.EXPIRED:
        _hold(hold, lines, stocks=stocks, at=at)
        holds.turn(hold, at)
        return _reservation(hold, lines)
    return _reservation(known, lines)


def confirm_stock(request: catalog.ConfirmStock, *, stocks: Stocks, holds: Holds, clock: Clock) -> Nothing:
    """Sell what is held, once. A hold that expired is sold if the units are still there.

    Raises ``ReservationLost`` when they are not, when the order was released or was never held.
    """
    hold = holds.lock(domain.order_id_of(request.order_id))
    if hold is None:
        raise catalog.ReservationLost(order_id=request.order_id)
    hold.refuse_if_released()
    if hold.state is State.SOLD:
        return Nothing()
    at, demand = clock(), _demand(holds.lines(hold.order_id))
    found = stocks.lock(demand)
    expired = hold.state is State.EXPIRED
    if expired and (shortages := domain.shortages_of(demand, found)):
        raise catalog.ReservationLost(order_id=hold.order_id, shortages=shortages)
    stocks.move(demand, domain.SELL_FREE if expired else domain.SELL_HELD, order_id=hold.order_id, at=at)
    holds.turn(replace(hold, state=State.SOLD), at)
    return Nothing()


def release_stock(order_id: str, *, stocks: Stocks, holds: Holds, clock: Clock) -> Nothing:
    """Give back what the order held or bought, once. An order that was never seen can then never hold anything."""
    at = clock()
    released = Hold(domain.order_id_of(order_id), State.RELEASED, at)
    known = holds.claim(released, at)
    if known is None or known.state is State.RELEASED:
        return Nothing()
    demand = _demand(holds.lines(known.order_id))
    if known.state is not State.EXPIRED:
        stocks.lock(demand)
        move = domain.TAKE_BACK if known.state is State.SOLD else domain.LET_GO
        stocks.move(demand, move, order_id=known.order_id, at=at)
    holds.turn(replace(known, state=State.RELEASED), at)
    return Nothing()


def expire_holds(*, stocks: Stocks, holds: Holds, clock: Clock) -> list[str]:
    """Let go of a batch of overdue holds; gives the orders. Several sweepers may run: each hold ends once."""
    at = clock()
    overdue = holds.lock_overdue(at, SWEEP_BATCH)
    demands = {hold.order_id: _demand(holds.lines(hold.order_id)) for hold in overdue}
    stocks.lock({product_id for demand in demands.values() for product_id in demand})
    for hold in overdue:
        stocks.move(demands[hold.order_id], domain.LET_GO, order_id=hold.order_id, at=at)
        holds.turn(replace(hold, state=State.EXPIRED), at)
    return list(demands)


def load_products(request: catalog.LoadProducts, *, imports: Imports, events: Events, clock: Clock) -> catalog.Loaded:
    """Insert or update by sku. ``stock`` counts for new products only: what lies in the store is nobody's guess.

    Loading the same rows again changes nothing. Rows that cannot be accepted are reported, first of all those whose
    sku stands in the batch already.
    """
    rows, bad = domain.checked_rows(request.rows)
    inserted, updated = imports.upsert(rows, clock()) if rows else (0, [])
    for product in updated:
        events.product_changed(product)
    unchanged = len(rows) - inserted - len(updated)
    return catalog.Loaded(inserted=inserted, updated=len(updated), unchanged=unchanged, bad=bad)


def list_skus(request: catalog.ListSkus, *, listings: Listings) -> dict[str, int]:
    """Product ids by sku; skus that nothing has are left out."""
    return listings.ids_by_sku(request.skus)


def audit_stock(request: catalog.AuditStock, *, books: Books) -> catalog.StockAudit:
    """Whether stock, ledger and reservations agree; true at any moment, under load too."""
    return catalog.StockAudit(
        products=books.count_products(),
        violations=books.violations(),
        reservations=books.states(request.after_order_id, request.limit),
        units_sold=books.units_sold(),
        oldest_outbox_seconds=books.oldest_outbox_seconds(),
    )


def _limit(amount: str | None, currency: str) -> int | None:
    return None if amount is None else Money.parse(amount, currency).minor_units


def _category(category_id: int, products: Products) -> Category:
    category = products.category(category_id)
    if category is None:
        raise catalog.CategoryNotFound(category_id=category_id)
    return category


def _locked(product_id: int, products: Products) -> Product:
    product = products.lock(product_id)
    if product is None:
        raise catalog.ProductNotFound(product_ids=[product_id])
    return product


def _changed(product: Product, request: catalog.UpdateProduct, products: Products) -> Product:
    texts = {name: getattr(request, name) for name in ("name", "description", "sku", "image")}
    wanted = replace(product, **{name: text for name, text in texts.items() if text is not UNSET})
    if request.price is not UNSET or request.currency is not UNSET:
        amount = str(product.price) if request.price is UNSET else request.price
        currency = product.price.currency if request.currency is UNSET else request.currency
        wanted = replace(wanted, price=domain.price_of(amount, currency))
    if request.category_id is not UNSET:
        wanted = replace(wanted, category=_category(request.category_id, products))
    if request.stock is not UNSET:
        wanted = replace(wanted, stock=product.stock.offering(request.stock))
    return wanted


def _save(before: Product, after: Product, *, products: Products, events: Events) -> catalog.Product:
    products.save(before, after)
    events.product_changed(after)
    return domain.answer_of(after)


def _lines_of(request: catalog.ReserveStock, products: Products) -> list[catalog.ReservedLine]:
    demand = domain.demand_of((line.product_id, line.quantity) for line in request.items)
    found = {product.id: product for product in products.find(list(demand))}
    if unknown := [product_id for product_id in demand if product_id not in found]:
        raise catalog.ProductNotFound(product_ids=unknown)
    return [
        catalog.ReservedLine(product=domain.answer_of(found[product_id]), quantity=quantity)
        for product_id, quantity in demand.items()
    ]


def _hold(hold: Hold, lines: list[catalog.ReservedLine], *, stocks: Stocks, at: datetime) -> None:
    demand = _demand(lines)
    if shortages := domain.shortages_of(demand, stocks.lock(demand)):
        raise catalog.OutOfStock(shortages=shortages)
    stocks.move(demand, domain.HOLD, order_id=hold.order_id, at=at)


def _demand(lines: list[catalog.ReservedLine]) -> Demand:
    return domain.demand_of((line.product.id, line.quantity) for line in lines)


def _reservation(hold: Hold, lines: list[catalog.ReservedLine]) -> catalog.Reservation:
    return catalog.Reservation(order_id=hold.order_id, lines=lines, expires_at=to_rfc3339(hold.expires_at))
