"""The doors of the cart: each calls one use case and answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import structlog

from rpc_services.cart import use_cases
from rpc_services.cart.assembly import (
    Assembly,
    Basket,
    LoadedProducts,
    RemoteProducts,
    assemble,
    new_token,
    operation_of,
)
from rpc_services.cart.domain import Owner, Verb
from rpc_services.cart.pools import pools
from shared.contracts import cart, events
from shared.contracts.catalog import Line, Product
from shared.contracts.method import CheckHealth, Health, Nothing
from shared.messaging.call import current
from shared.metrics import trade
from shared.nameko_ext import Configured, HealthReport, Loader, Remote, RemoteService, Ticker, on_event, rpc

log = structlog.get_logger()

trade.tell_carts(verb.value for verb in Verb)


class Carts(Configured):
    """The carts, and whether their servers and their journal are well.

    Carts of one server that are looked at at the same time are fetched from it in one go.
    """

    def __init__(self) -> None:
        super().__init__(partial(assemble, together=self._together))
        self.loaders: dict[str, Loader[Any, Any]] = {}

    def setup(self) -> None:
        """Let their pools be seen."""
        super().setup()
        pools.watch(self.settings.shards)

    def check_health(self) -> None:
        """Raise when a shard or the journal does not answer."""
        self.settings.shards.check()
        self.settings.journal.check()

    def _together(self, look_at: Any) -> Any:
        """Servers are asked for in the order in which the settings name them, by which their pools are told, too."""
        loader = self.loaders[f"carts-{len(self.loaders) + 1}"] = Loader(look_at)
        return loader.get


class Products(Remote):
    """What the catalogue sells: who wants to know at the same time asks it together."""

    def setup(self) -> None:
        """One loader for all calls."""
        products = RemoteProducts(RemoteService(self.service, self.asking))
        self._loader: Loader[Basket, dict[int, Product]] = Loader(products.find_all)
        self.loaders = {self.attr_name: self._loader}

    def stop(self) -> None:
        """No call waits any more."""
        self._loader.close()

    def get_dependency(self, worker_ctx: Any) -> Any:
        """The same :class:`LoadedProducts` for every call."""
        del worker_ctx
        return LoadedProducts(self._loader.get)


class Service:
    """What somebody means to buy."""

    name = "cart"
    stores: Assembly = Carts()
    products: LoadedProducts = Products("catalog")
    health = HealthReport()

    @rpc(cart.GET_CART)
    def get_cart(self, request: cart.GetCart) -> cart.Cart:
        """A cart at today's prices."""
        return use_cases.get_cart(request, carts=self.stores.carts, products=self.products)

    @rpc(cart.ADD_ITEM)
    def add_item(self, request: cart.AddItem) -> cart.Cart:
        """More of a product."""
        return self._once(use_cases.add_item, request, new_token=new_token)

    @rpc(cart.SET_ITEM)
    def set_item(self, request: cart.SetItem) -> cart.Cart:
        """Just so many of a product."""
        return self._once(use_cases.set_item, request)

    @rpc(cart.REMOVE_ITEM)
    def remove_item(self, request: cart.RemoveItem) -> cart.Cart:
        """No more of a product."""
        return self._once(use_cases.remove_item, request)

    @rpc(cart.CLEAR_CART)
    def clear_cart(self, request: cart.ClearCart) -> cart.Cart:
        """Nothing at all."""
        return self._once(use_cases.clear_cart, request)

    @rpc(cart.MERGE_CARTS)
    def merge_carts(self, request: cart.MergeCarts) -> cart.Cart:
        """A guest has logged in. Happens once by the guest cart's id, whatever the operation id."""
        owner = Owner.user(request.user_id)
        merge = partial(use_cases.merge_carts, request, carts=self.stores.carts, products=self.products)
        return cast("cart.Cart", self.stores.answers.once(owner, current(), merge))

    @rpc(cart.SUBTRACT_ITEMS)
    def subtract_items(self, request: cart.SubtractItems) -> Nothing:
        """These were ordered. Idempotent by the order's id, whatever the operation id."""
        return use_cases.subtract_items(request.user_id, request.order_id, request.items, carts=self.stores.carts)

    @on_event(events.ORDER_PLACED)
    def on_order_placed(self, event: events.Event, order: events.OrderPlaced) -> None:
        """The same as :meth:`subtract_items`, for when the checkout died before it could ask for it."""
        del event
        if order.from_cart:
            items = [Line(product_id=line.product_id, quantity=line.quantity) for line in order.lines]
            use_cases.subtract_items(order.user_id, order.order_id, items, carts=self.stores.carts)

    @rpc(cart.METHODS.CHECK_HEALTH)
    def check_health(self, request: CheckHealth) -> Health:
        """Whether carts can be kept."""
        del request
        return self.health.report()

    @Ticker(seconds=600)
    def forget_expired(self) -> None:
        """Keep the journal as small as what is alive."""
        log.info("cart.journal_swept", carts=self.stores.carts.forget_expired())

    @Ticker(seconds=15)
    def count_open(self) -> None:
        """For those who watch the shop."""
        trade.carts_open.set(self.stores.carts.count_open())

    def _once(self, use_case: Callable[..., cart.Cart], request: cart.CartRequest, **facts: Any) -> cart.Cart:
        """Change a cart, or answer as the first time."""
        call = current()
        change = partial(
            use_case, request, carts=self.stores.carts, products=self.products, operation=operation_of(call), **facts
        )
        return cast("cart.Cart", self.stores.answers.once(use_cases.owner_of(request), call, change))
