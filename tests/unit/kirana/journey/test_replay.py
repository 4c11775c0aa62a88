import asyncio
import json

import httpx
import pytest

from kirana.journey import replay as replaying
from kirana.journey.replay import PLACED, replay
from kirana.seeding.complete_journey import Basket


class FakeShop:
    def __init__(self, *order_answers):
        self.order_answers = list(order_answers)
        self.keys = []
        self.usernames = []

    def __call__(self, request):
        if request.url.path == "/api/users":
            self.usernames.append(json.loads(request.content)["username"])
            return httpx.Response(201, json={"id": "u"})
        if request.url.path == "/api/token":
            return httpx.Response(200, json={"access": "a.b.c"})
        self.keys.append(request.headers["Idempotency-Key"])
        status, body, headers = self.order_answers.pop(0) if self.order_answers else PLACED_ANSWER
        return httpx.Response(status, json=body, headers=headers)


PLACED_ANSWER = (201, {"number": "N1", "total": "3.00", "currency": "EUR"}, {})
BUSY = (503, {"code": "service.unavailable", "retryable": True}, {"Retry-After": "0"})
UNKNOWN = (504, {"code": "outcome.unknown", "retryable": True}, {"Retry-After": "0"})


def run(monkeypatch, shop, *baskets, ids=None):
    real = httpx.AsyncClient
    monkeypatch.setattr(
        replaying.httpx, "AsyncClient", lambda **options: real(**options, transport=httpx.MockTransport(shop))
    )
    return asyncio.run(replay("http://shop", baskets, {"cj-1": 1, "cj-2": 2} if ids is None else ids))


def a_basket(number=1, **units):
    return Basket(id=number, household=number, units=units or {"cj-1": 1})


def test_every_basket_is_bought_by_a_customer_of_its_own(monkeypatch):
    shop = FakeShop()

    tally = run(monkeypatch, shop, *(a_basket(number) for number in range(20)))

    assert tally.counts == {PLACED: 20}
    assert len(set(shop.usernames)) == len(set(shop.keys)) == 20


def test_a_refusal_is_counted_by_its_code_with_its_reason(monkeypatch):
    short = {"code": "catalog.out_of_stock", "shortages": [{"product_id": 1, "wanted": 3, "available": 1}]}

    tally = run(monkeypatch, FakeShop((409, short, {})), a_basket())

    assert tally.counts == {"catalog.out_of_stock": 1}
    assert "wanted 3, available 1" in tally.examples["catalog.out_of_stock"]
    assert tally.broken == 0


@pytest.mark.parametrize("first", [BUSY, UNKNOWN])
def test_an_answer_that_says_try_again_is_tried_again_under_the_same_key(monkeypatch, first):
    shop = FakeShop(first)

    tally = run(monkeypatch, shop, a_basket())

    assert tally.counts == {PLACED: 1}
    assert len(shop.keys) == 2
    assert len(set(shop.keys)) == 1


def test_a_shop_that_never_serves_is_broken_not_refusing(monkeypatch):
    tally = run(monkeypatch, FakeShop(*[BUSY] * 20), a_basket())

    assert tally.broken == 1


def test_an_internal_fault_is_broken_not_refusing(monkeypatch):
    tally = run(monkeypatch, FakeShop((500, {"code": "internal", "retryable": False}, {})), a_basket())

    assert tally.counts == {"internal": 1}
    assert tally.broken == 1


def test_a_basket_with_goods_that_are_not_on_sale_is_not_sent(monkeypatch):
    shop = FakeShop()

    tally = run(monkeypatch, shop, a_basket(), ids={})

    assert tally.counts == {"not on sale here": 1}
    assert shop.keys == []
