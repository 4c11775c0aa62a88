import json

import pytest

from shared.contracts import catalog
from shared.contracts.catalog import OutOfStock
from shared.contracts.refusals import DeadlinePassed, Internal
from shared.messaging.call import Call, serving
from shared.nameko_ext.remote import RemoteService, fingerprint_of, read_reply
from shared.resilience.deadline import Deadline

RELEASE = catalog.ReleaseStock(order_id="o-1")


class FakeAsking:
    def __init__(self):
        self.asked = []

    def ask(self, request):
        self.asked.append(request)
        return json.dumps({"result": {}, "error": None}).encode()


def test_the_earlier_of_deadline_and_patience_counts():
    asking = FakeAsking()
    deadline = Deadline(Deadline.read(10).epoch_ms + 9_000_000_000_000)

    with serving(Call(request_id="r", deadline=deadline)):
        RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE)

    assert asking.asked[0].deadline < deadline


def test_a_change_always_carries_an_operation_id_and_its_fingerprint():
    asking = FakeAsking()

    with serving(Call(request_id="r", operation_id="user/key", fingerprint="of the first request")):
        RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE)
        RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE, operation_id="order/o-1/release")

    derived, given = (request.headers for request in asking.asked)
    assert derived["nameko.operation_id"] == "user/key/catalog.release_stock"
    assert given["nameko.operation_id"] == "order/o-1/release"
    assert derived["nameko.operation_fingerprint"] == given["nameko.operation_fingerprint"] == fingerprint_of(RELEASE)


def test_nothing_is_asked_when_the_deadline_has_passed():
    asking = FakeAsking()

    with serving(Call(request_id="r", deadline=Deadline(1))), pytest.raises(DeadlinePassed):
        RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE)

    assert asking.asked == []


def test_a_refusal_comes_out_as_its_own_class():
    body = json.dumps({"result": None, "error": OutOfStock(shortages=[]).to_wire()}).encode()

    with pytest.raises(OutOfStock):
        read_reply(body, catalog.RESERVE_STOCK)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b"{}", b'{"result": 5, "error": null}', b'{"result": 1, "error": []}']
)
def test_nonsense_is_internal(body):
    with pytest.raises(Internal):
        read_reply(body, catalog.GET_PRODUCT)
