"""Places baskets that real households bought as orders of as many customers, several at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from kirana.journey.showing import body_of
from kirana.seeding.complete_journey import Basket

AT_ONCE = 8
MAX_ATTEMPTS = 5
ANSWER_SECONDS = 20.0
PLACED = "placed"
_RETRIABLE = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_BROKEN = "no answer"


@dataclass(frozen=True)
class Outcome:
    """What became of one basket: ``placed``, the code of the refusal, or why there was no proper answer."""

    basket: Basket
    result: str
    detail: str = ""
    is_refusal: bool = False


@dataclass
class Tally:
    """How many baskets ended how, with an example of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    broken: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.counts[outcome.result] += 1
        self.examples.setdefault(outcome.result, outcome.detail)
        self.broken += outcome.result != PLACED and not outcome.is_refusal


async def replay(
    edge_url: str, baskets: Sequence[Basket], ids: Mapping[str, int], on_done: Callable[[], None] = lambda: None
) -> Tally:
    """Register a customer per basket, log in, and order it. ``ids`` maps a sku to the product's id here."""
    turns = asyncio.Semaphore(AT_ONCE)
    tally = Tally()
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=edge_url, timeout=ANSWER_SECONDS, limits=limits) as shop:

        async def one(basket: Basket) -> None:
            async with turns:
                tally.add(await _buy(shop, basket, ids))
            on_done()

        await asyncio.gather(*(one(basket) for basket in baskets))
    return tally


async def _buy(shop: httpx.AsyncClient, basket: Basket, ids: Mapping[str, int]) -> Outcome:
    missing = [sku for sku in basket.units if sku not in ids]
    if missing:
        return Outcome(basket, "not on sale here", f"{len(missing)} products, e.g. {missing[0]}", is_refusal=True)
    try:
        access = await _become_customer(shop, basket)
        items = [{"product_id": ids[sku], "quantity": units} for sku, units in basket.units.items()]
        headers = {"Authorization": f"Bearer {access}", "Idempotency-Key": f"basket-{secrets.token_hex(12)}"}
        response = await _post(shop, "/api/orders", {"items": items}, headers)
    except httpx.HTTPError as fault:
        return Outcome(basket, _BROKEN, repr(fault))
    except _NotServed as fault:
        response = fault.response
    return _outcome(basket, response)


async def _become_customer(shop: httpx.AsyncClient, basket: Basket) -> str:
    name = f"household-{basket.household}-{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(15)
    account = {
        "username": name,
        "password": password,
        "password2": password,
        "email": f"{name}@example.com",
        "first_name": "Household",
        "last_name": str(basket.household),
    }
    registered = await _post(shop, "/api/users", account, {"Idempotency-Key": secrets.token_hex(12)})
    if registered.status_code != HTTPStatus.CREATED:
        raise _NotServed(registered)
    logged_in = await _post(shop, "/api/token", {"username": name, "password": password}, {})
    if logged_in.status_code != HTTPStatus.OK:
        raise _NotServed(logged_in)
    return str(logged_in.json()["access"])


async def _post(shop: httpx.AsyncClient, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
    """Send, and send again under the same key while the answer says that this is safe."""
    for attempt in range(1, MAX_ATTEMPTS):
        response = await shop.post(path, json=body, headers=headers)
        document = body_of(response)
        is_retriable = isinstance(document, dict) and document.get("retryable")
        if response.status_code not in _RETRIABLE and not is_retriable:
            return response
        await asyncio.sleep(min(float(response.headers.get("Retry-After", attempt)), float(MAX_ATTEMPTS)))
    return await shop.post(path, json=body, headers=headers)


class _NotServed(Exception):
    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def _outcome(basket: Basket, response: httpx.Response) -> Outcome:
    document = body_of(response)
    known = document if isinstance(document, dict) else {}
    if response.status_code == HTTPStatus.CREATED:
        return Outcome(basket, PLACED, f"order {known.get('number')} over {known.get('total')} {known.get('currency')}")
    is_refusal = HTTPStatus.BAD_REQUEST <= response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    code = str(known.get("code") or response.status_code)
    return Outcome(basket, code, _reason(known), is_refusal=is_refusal and response.status_code not in _RETRIABLE)


def _reason(document: Mapping[str, Any]) -> str:
    """The sentence of a problem with the first thing it names."""
    for error in document.get("errors") or []:
        return f"{error.get('pointer')}: {error.get('detail')}"
    for short in document.get("shortages") or []:
        return f"product {short.get('product_id')}: wanted {short.get('wanted')}, available {short.get('available')}"
    return str(document.get("detail", ""))
