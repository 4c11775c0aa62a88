"""Puts the cart service together: which collaborators the doors work with, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any, Protocol

from eventlet import tpool

from rpc_services.cart.answers import Answers
from rpc_services.cart.domain import Operation
from rpc_services.cart.journal import Journal
from rpc_services.cart.settings import read_settings
from rpc_services.cart.shards import Shards
from rpc_services.cart.storage import RedisCarts, Together, one_by_one
from shared.contracts.catalog import GET_PRODUCTS, GetProducts, Product
from shared.contracts.method import Method, Request
from shared.contracts.refusals import OutcomeUnknown, Unavailable
from shared.messaging.call import Call
from shared.values.identifiers import new_id
from shared.values.times import now

TOKEN_BYTES = 32
MOST_ASKED = 200
"""Products in one question to the catalogue: more would hold up those who asked for few.

So many of the largest are still one answer (3 MiB), as they are for an order.
"""


class Catalog(Protocol):
    """The catalogue as another service."""

    def call(self, method: Method, request: Request) -> Any:
        """Its answer, or its refusal raised."""


Basket = tuple[int, ...]


class RemoteProducts:
    """What the catalogue sells, asked for all at once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find(self, product_ids: Sequence[int]) -> dict[int, Product]:
        """Those that exist. A question that got no answer had no effect either, so it is :class:`Unavailable`."""
        try:
            found = self._catalog.call(GET_PRODUCTS, GetProducts(product_ids=list(product_ids)))
        except OutcomeUnknown as unknown:
            raise Unavailable(retry_after=1) from unknown
        return {product.id: product for product in found}

    def find_all(self, baskets: Sequence[Basket]) -> dict[Basket, dict[int, Product]]:
        """The same for many at once: what is in several baskets is asked for once."""
        wanted = sorted({product_id for basket in baskets for product_id in basket})
        found: dict[int, Product] = {}
        for start in range(0, len(wanted), MOST_ASKED):
            found |= self.find(wanted[start : start + MOST_ASKED])
        return {basket: {each: found[each] for each in basket if each in found} for basket in baskets}


class LoadedProducts:
    """What the catalogue sells, by baskets that ``load`` fetches one by one, or together with others'."""

    def __init__(self, load: Callable[[Basket], dict[int, Product] | None]) -> None:
        self._load = load

    def find(self, product_ids: Sequence[int]) -> dict[int, Product]:
        """Those that exist."""
        return (self._load(tuple(sorted(set(product_ids)))) if product_ids else None) or {}


@dataclass(frozen=True)
class Assembly:
    """What lives as long as the process."""

    carts: RedisCarts
    answers: Answers
    shards: Shards
    journal: Journal


def assemble(environment: Mapping[str, str], *, together: Together = one_by_one) -> Assembly:
    """Read the settings and make the rest. Connects nowhere yet. Raises ``BadSettings``."""
    settings = read_settings(environment)
    shards = Shards(settings.redis_urls)
    journal = Journal(settings.journal, run=tpool.execute)
    carts = RedisCarts(shards, journal, clock=now, new_id=new_id, together=together)
    return Assembly(carts, Answers(shards, clock=now), shards, journal)


def operation_of(call: Call) -> Operation | None:
    """What the call intends, if it says so."""
    if call.operation_id is None:
        return None
    return Operation(id=call.operation_id, fingerprint=call.fingerprint or "")


def new_token() -> str:
    """A guest's token: 256 random bits."""
    return token_urlsafe(TOKEN_BYTES)
