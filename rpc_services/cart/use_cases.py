"""What can be done with a cart, in the words of the shop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from rpc_services.cart import domain
from rpc_services.cart.domain import CartLine, CartState, Change, Changed, Operation, Owner, Verb
from rpc_services.cart.pricing import EMPTY, quote, snapshot_of
from shared.contracts import cart
from shared.contracts.catalog import Line, Product, ProductNotFound
from shared.contracts.method import Nothing
from shared.contracts.refusals import Refusal, StaleVersion

NewToken = Callable[[], str]


class Carts(Protocol):
    """All carts. What is acknowledged here is durable.

    Every method raises ``Unavailable`` when the carts cannot be reached and nothing was done, and
    ``OutcomeUnknown`` when it cannot be known; the change may then be repeated with its operation.
    """

    def look(self, owner: Owner) -> CartState | None:
        """The cart, if there is one."""

    def change(self, owner: Owner, change: Change) -> Changed:
        """Change it in one step, or refuse and leave it as it was. A repeated operation changes nothing.

        Raises ``CartNotFound``, ``CartClosed``, ``ItemNotFound``, ``LimitExceeded``, ``StaleVersion``, ``KeyReused``.
        """

    def repeated(self, owner: Owner, change: Change) -> Changed | None:
        """The cart, if this change's operation had its effect before; else nothing is done. Raises ``KeyReused``."""

    def token_for(self, operation: Operation, token: str) -> str:
        """The token that this operation gave out: this one, unless it already gave out another."""


class Products(Protocol):
    """What the catalogue sells now."""

    def find(self, product_ids: Sequence[int]) -> dict[int, Product]:
        """Those of them that exist, by id. Raises ``Unavailable``, ``DeadlinePassed`` or ``Internal``."""


def get_cart(request: cart.GetCart, *, carts: Carts, products: Products) -> cart.Cart:
    """Look into a cart at today's prices.

    Raises ``CartNotFound`` for a token nobody knows, ``CartClosed`` for a guest's whose goods are in an account's now.
    """
    owner = owner_of(request)
    if owner is None:
        return EMPTY
    state = carts.look(owner)
    if state is None:
        return _nothing_yet(owner)
    if state.closed_by:
        raise cart.CartClosed
    return quote(state, _prices(state.product_ids, products))


def add_item(
    request: cart.AddItem,
    *,
    carts: Carts,
    products: Products,
    operation: Operation | None,
    new_token: NewToken,
) -> cart.Cart:
    """Add to a cart; without user and token, to a new guest cart whose token is in the answer.

    What this operation added before is told as done, whatever the catalogue says of the product now.
    Raises ``catalog.ProductNotFound``, ``CartNotFound``, ``CartClosed``, ``LimitExceeded``, ``KeyReused``.
    """
    owner, token = owner_of(request), None
    if owner is None:
        token = carts.token_for(operation, new_token()) if operation else new_token()
        owner = Owner.guest(token)
    before = carts.look(owner)
    if before is None and owner.is_guest and token is None:
        raise cart.CartNotFound
    line = CartLine(product_id=request.product_id, quantity=request.quantity)
    change = domain.add(line, operation, opens=token is not None or not owner.is_guest)
    try:
        found = _on_sale(request.product_id, beside=before.product_ids if before else [], products=products)
    except Refusal:
        if operation is None or (done := carts.repeated(owner, change)) is None:
            raise
        return quote(done.state, _prices(done.state.product_ids, products), token=token)
    line = replace(line, snapshot=snapshot_of(found[request.product_id]))
    after = carts.change(owner, replace(change, lines=(line,)))
    return quote(after.state, found, token=token)


def set_item(request: cart.SetItem, *, carts: Carts, products: Products, operation: Operation | None) -> cart.Cart:
    """Set how many of a product. Raises ``ItemNotFound`` when it is not in the cart, ``StaleVersion``, …."""
    line = CartLine(product_id=request.product_id, quantity=request.quantity)
    return _change(request, _edit(Verb.SET, (line,), request, operation), carts=carts, products=products)


def remove_item(
    request: cart.RemoveItem, *, carts: Carts, products: Products, operation: Operation | None
) -> cart.Cart:
    """Take a product out. Raises ``ItemNotFound`` when it is not in the cart, ``StaleVersion``, …."""
    line = CartLine(product_id=request.product_id)
    return _change(request, _edit(Verb.REMOVE, (line,), request, operation), carts=carts, products=products)


def clear_cart(request: cart.ClearCart, *, carts: Carts, products: Products, operation: Operation | None) -> cart.Cart:
    """Take everything out. Raises ``CartNotFound``, ``CartClosed``, ``StaleVersion``."""
    return _change(request, _edit(Verb.CLEAR, (), request, operation), carts=carts, products=products)


def merge_carts(request: cart.MergeCarts, *, carts: Carts, products: Products) -> cart.Cart:
    """Close a guest's cart, then bring what it held into the user's: per product the larger quantity.

    Each step can be repeated, so a merge that died between them is finished by asking again. Products for which there
    is no room are named in ``warnings``. Raises ``CartNotFound``, and ``CartClosed`` when another user has it.
    """
    guest = carts.change(Owner.guest(request.cart_token), domain.close(request.user_id)).state
    merged = carts.change(Owner.user(request.user_id), domain.merge(guest))
    return quote(merged.state, _prices(merged.state.product_ids, products), refused=merged.refused)


def subtract_items(user_id: str, order_id: str, items: Iterable[Line], *, carts: Carts) -> Nothing:
    """Take out just what was ordered, once for each order, whoever tells of it first."""
    lines = tuple(CartLine(product_id=item.product_id, quantity=item.quantity) for item in items)
    carts.change(Owner.user(user_id), domain.subtract(order_id, lines))
    return Nothing()


def _change(request: cart.CartRequest, change: Change, *, carts: Carts, products: Products) -> cart.Cart:
    owner = owner_of(request)
    if owner is None:
        raise cart.CartNotFound
    try:
        state = carts.change(owner, change).state
    except cart.CartNotFound:
        if owner.is_guest:
            raise
        return _changed_nothing(change)
    return quote(state, _prices(state.product_ids, products))


def _changed_nothing(change: Change) -> cart.Cart:
    """A user always has a cart, if only an empty one at version 0."""
    if change.expected_version:
        raise StaleVersion(version=0)
    if change.lines:
        raise cart.ItemNotFound(product_id=change.lines[0].product_id)
    return EMPTY


def _edit(
    verb: Verb,
    lines: tuple[CartLine, ...],
    request: cart.SetItem | cart.RemoveItem | cart.ClearCart,
    operation: Operation | None,
) -> Change:
    return Change(verb=verb, lines=lines, operation=operation, expected_version=request.expected_version)


def owner_of(request: cart.CartRequest) -> Owner | None:
    """Whose cart is meant; ``None`` for a guest who has none yet."""
    if request.user_id is not None:
        return Owner.user(request.user_id)
    return Owner.guest(request.cart_token) if request.cart_token is not None else None


def _nothing_yet(owner: Owner) -> cart.Cart:
    if owner.is_guest:
        raise cart.CartNotFound
    return EMPTY


def _on_sale(product_id: int, *, beside: Sequence[int], products: Products) -> dict[int, Product]:
    """This product, and the others in the cart of those that exist. Raises ``ProductNotFound``."""
    found = products.find(_distinct([*beside, product_id]))
    if product_id not in found:
        raise ProductNotFound(product_ids=[product_id])
    return found


def _prices(product_ids: Sequence[int], products: Products) -> dict[int, Product] | None:
    """What the products cost now; ``None`` when the catalogue does not tell, be it away or broken.

    That must not hide a cart, nor deny a change that is made.
    """
    if not product_ids:
        return {}
    try:
        return products.find(product_ids)
    except Refusal:
        return None


def _distinct(product_ids: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(product_ids))
