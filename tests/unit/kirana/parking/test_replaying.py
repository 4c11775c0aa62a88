import pytest

from kirana.parking.message import Parked
from kirana.parking.replaying import again, obstacle
from shared.contracts import parked as names

NOW = 1_000_000
QUEUE = "evt-order-order.placed--notification.on_order_placed"


def parked(origin, *, headers=None, **properties):
    told = {names.FROM: origin, names.REASON: "r", names.ATTEMPT: 3, **(headers or {})}
    return Parked("notification", b"{}", {**properties, "application_headers": told})


def test_an_event_goes_back():
    assert obstacle(parked(QUEUE), NOW) == ""


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (parked("rpc-notification"), "without an address"),
        (parked("rpc-notification", reply_to="a", headers={"nameko.deadline": NOW - 1}), "deadline has passed"),
        (parked("rpc-notification", reply_to="a", headers={"nameko.deadline": NOW + 1}), "has been told"),
        (parked("rpc-notification", reply_to="a", headers={"nameko.deadline": "soon"}), "has been told"),
        (parked("evt-order-order.placed--catalog.on_order_placed"), "another service, catalog"),
        (parked("orders"), "nothing says"),
        (parked(""), "nothing says"),
    ],
)
def test_what_must_not_run_again_stays_with_a_reason(message, why):
    assert why in obstacle(message, NOW)


def test_a_replayed_event_has_no_past():
    headers = {"nameko.request_id": "r", "x-death": [{}], names.DELIVERY_COUNT: 4, "x-other": 1}
    message = again(parked(QUEUE, headers=headers, message_id="m", content_type="application/json", reply_to="a"))

    assert message.properties == {
        "application_headers": {"nameko.request_id": "r"},
        "delivery_mode": 2,
        "message_id": "m",
        "content_type": "application/json",
    }
    assert message.body == b"{}"
