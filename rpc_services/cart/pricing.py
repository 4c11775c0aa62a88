"""How a cart looks at today's prices: live prices beside those seen, and what changed in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpc_services.cart.domain import CartLine, CartState, Snapshot
from shared.contracts.cart import MAX_LINES, Cart, CartItem, LimitExceeded, PriceChanged
from shared.contracts.catalog import OutOfStock, Product, ProductNotFound
from shared.contracts.order import MixedCurrencies
from shared.contracts.refusals import Unavailable
from shared.values.money import Money
from shared.values.times import to_rfc3339

EMPTY_CURRENCY = "EUR"
NEVER_SEEN = Snapshot(name="", image="", unit_price="0.00", currency=EMPTY_CURRENCY)

Products = Mapping[int, Product]
Warnings = list[dict[str, Any]]

EMPTY = Cart(
    id="", version=0, items=[], item_count=0, subtotal="0.00", currency=EMPTY_CURRENCY, expires_at=None, warnings=[]
)
"""A cart that nobody has written to: it has no id yet."""


def quote(
    state: CartState, products: Products | None, *, refused: tuple[int, ...] = (), token: str | None = None
) -> Cart:
    """Show a cart. ``products`` is what the catalogue knows of them now, ``None`` when it is away.

    A line's total is at the current price, which is what an order would cost; at the price seen when the current one
    is not known. The subtotal is in the currency of the first line; lines in another are left out, with a warning.
    """
    totals = [_total(line, products) for line in state.lines]
    currency = totals[0].currency if totals else EMPTY_CURRENCY
    subtotal = sum((total for total in totals if total.currency == currency), Money.zero(currency))
    warnings = [_no_room(product_id) for product_id in refused] + _warnings(state, products)
    warnings += [
        _warning(line.product_id, MixedCurrencies.code, "This item is priced in another currency; order it separately.")
        for line, total in zip(state.lines, totals, strict=True)
        if total.currency != currency
    ]
    return Cart(
        id=state.id,
        version=state.version,
        items=[_item(line, total, products) for line, total in zip(state.lines, totals, strict=True)],
        item_count=sum(line.quantity for line in state.lines),
        subtotal=str(subtotal),
        currency=currency,
        expires_at=to_rfc3339(state.expires_at),
        warnings=warnings,
        cart_token=token,
    )


def snapshot_of(product: Product) -> Snapshot:
    """What a cart keeps of a product."""
    return Snapshot(name=product.name, image=product.image, unit_price=product.price, currency=product.currency)


def _item(line: CartLine, total: Money, products: Products | None) -> CartItem:
    seen = line.snapshot or NEVER_SEEN
    now = (products or {}).get(line.product_id)
    return CartItem(
        product_id=line.product_id,
        name=now.name if now else seen.name,
        image=now.image if now else seen.image,
        quantity=line.quantity,
        unit_price=seen.unit_price,
        current_price=now.price if now else None,
        line_total=str(total),
        available=products is None or (now is not None and now.stock >= line.quantity),
    )


def _total(line: CartLine, products: Products | None) -> Money:
    now = (products or {}).get(line.product_id)
    seen = line.snapshot or NEVER_SEEN
    price = Money.parse(now.price, now.currency) if now else Money.parse(seen.unit_price, seen.currency)
    return price.times(line.quantity)


def _warnings(state: CartState, products: Products | None) -> Warnings:
    if products is None:
        detail = "Current prices and availability cannot be looked up right now."
        return [_warning(None, Unavailable.code, detail)] if state.lines else []
    return [warning for line in state.lines for warning in _changes(line, products.get(line.product_id))]


def _changes(line: CartLine, now: Product | None) -> Warnings:
    if now is None:
        return [_warning(line.product_id, ProductNotFound.code, "This product is no longer sold.")]
    seen = line.snapshot or NEVER_SEEN
    changes = []
    if (now.price, now.currency) != (seen.unit_price, seen.currency):
        detail = f"The price was {seen.unit_price} {seen.currency} and is now {now.price} {now.currency}."
        changes.append(_warning(line.product_id, PriceChanged.code, detail))
    if now.stock < line.quantity:
        changes.append(_warning(line.product_id, OutOfStock.code, f"Only {now.stock} can be had now."))
    return changes


def _no_room(product_id: int) -> dict[str, Any]:
    detail = f"There was no room for this product: a cart holds {MAX_LINES} different ones."
    return _warning(product_id, LimitExceeded.code, detail)


def _warning(product_id: int | None, code: str, detail: str) -> dict[str, Any]:
    return {"product_id": product_id, "code": code, "detail": detail}
