import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from edge.cache.answering import ResponseCache
from edge.cache.feed import PurgeFeed, tags_of
from shared.contracts.events import CACHE_PURGED, ORDER_PLACED, PRODUCT_CHANGED, SIGNING_KEYS_TURNED, Event
from tests.builders.events import an_event_of

CHANGED = {"product_id": 7, "category_id": 3, "version": 2}
A_LINE = {"product_id": 7, "name": "", "quantity": 1, "unit_price": "", "line_total": ""}
PLACED = {
    "order_id": "o", "number": "n", "user_id": "u", "total": "", "currency": "EUR", "from_cart": False,
    "lines": [A_LINE, A_LINE | {"product_id": 8}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("event_type", "data", "tags"),
    [
        (PRODUCT_CHANGED, CHANGED, {"product:7", "category:3", "products", "categories"}),
        (ORDER_PLACED, PLACED, {"product:7", "product:8"}),
        (SIGNING_KEYS_TURNED, {"key_ids": ["a"]}, {"jwks"}),
        (CACHE_PURGED, {"tags": ["all"]}, {"all"}),
    ],
    ids=["product", "order", "keys", "purge"],
)
def test_an_event_purges_what_it_makes_old(event_type, data, tags):
    event = msgspec.json.decode(an_event_of(event_type, "a", **data), type=Event)

    assert tags_of(event) == tags


@pytest.mark.parametrize(
    "body",
    [b"no json", b"{}", an_event_of(PRODUCT_CHANGED, "a"), b'{"type":"\xff"}', b"[" * 100_000],
    ids=["text", "empty", "no data", "no UTF-8", "too deep"],
)
def test_an_event_that_cannot_be_read_purges_everything(body):
    cache, purged = ResponseCache(), []
    cache.local.purge = purged.extend

    asyncio.run(PurgeFeed(cache).take(SimpleNamespace(body=body)))

    assert purged == ["all"]
    assert cache.purges == {"unreadable": 1}


def test_an_event_of_another_kind_purges_nothing():
    cache = ResponseCache()
    body = an_event_of(SimpleNamespace(name="order.shipped", version=1), "a")

    asyncio.run(PurgeFeed(cache).take(SimpleNamespace(body=body)))

    assert not cache.purges
