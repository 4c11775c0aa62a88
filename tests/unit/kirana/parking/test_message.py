import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kirana.parking.message import Kind, Parked
from kirana.parking.redacted import body_of, headers_of, pretty
from shared.contracts import exchanges
from shared.contracts import parked as names
from shared.nameko_ext import topology

QUEUE = "evt-order-order.placed--notification.on_order_placed"
EVENT = json.dumps({"event_id": "e-1", "type": "order.placed", "request_id": "r-1", "data": {}}).encode()


def parked(body=EVENT, *, service="notification", headers=None, **properties):
    return Parked(service, body, {**properties, "application_headers": headers or {}})


def summary(*arguments, **more):
    return parked(*arguments, **more).summary


def test_a_queue_of_a_handler_says_that_it_was_an_event():
    queue = topology.event_queue("order", "order.placed", "notification", "on_order_placed")
    found = parked(b"{", headers={names.FROM: queue.name})

    assert found.summary.kind is Kind.EVENT
    assert found.summary.what == "order.placed"
    assert found.handler.groupdict() == {
        "type": "order.placed",
        "service": "notification",
        "method": "on_order_placed",
    }


def test_a_queue_of_calls_says_that_it_was_a_call():
    headers = {names.FROM: exchanges.calls_queue("order"), names.KEY: "notification.send_test"}
    found = summary(b"{}", headers=headers)

    assert found.kind is Kind.CALL
    assert found.what == "send_test"
    assert found.attempts == 1


def test_a_frame_of_calls_names_its_first_methods():
    calls = [{"method": "a", "context": {"request_id": "r-7"}}, 7, {"method": "b"}, {"method": 5}, {"method": "c"}]
    found = summary(json.dumps({"calls": calls}).encode(), headers={names.FROM: "rpc-order"})

    assert found.what == "a, b, , …"
    assert found.request_id == "r-7"


def test_attempts_count_the_last_one_too():
    assert summary(headers={names.FROM: QUEUE, names.ATTEMPT: 3}).attempts == 4


def test_the_broker_that_parks_tells_why_and_when_in_its_own_way():
    death = {"queue": QUEUE, "reason": "delivery_limit", "time": datetime(2026, 1, 2, 3, 4, 5)}  # noqa: DTZ001 - as py-amqp reads it
    found = summary(headers={names.DEATHS: [death]})

    assert found.kind is Kind.EVENT
    assert found.origin == QUEUE
    assert found.reason == "set aside by the broker: delivery_limit"
    assert datetime.fromisoformat(found.parked_at) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_looking_does_not_change_an_id():
    seen, again = ({names.FROM: QUEUE, names.DELIVERY_COUNT: count} for count in (0, 9))

    assert summary(headers=seen).id == summary(headers=again).id


def test_the_same_event_parked_twice_has_two_ids():
    first, second = ({names.FROM: QUEUE, names.AT: f"2026-01-01T00:00:0{n}+00:00"} for n in (1, 2))

    assert summary(headers=first).id != summary(headers=second).id


def test_an_event_without_a_message_id_is_known_by_its_event_id():
    assert summary().message_id == "e-1"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)
HEADERS = st.dictionaries(
    st.sampled_from([names.REASON, names.FROM, names.AT, names.ATTEMPT, names.DEATHS, "nameko.request_id", "x"]), VALUES
)
PROPERTIES = st.dictionaries(st.sampled_from(["message_id", "reply_to", "correlation_id", "type"]), VALUES)


@given(body=st.binary() | VALUES.map(lambda value: json.dumps(value, default=repr).encode()), headers=HEADERS | VALUES)
def test_whatever_a_message_holds_it_can_be_listed_and_shown(body, headers):
    found = parked(body, headers=headers, message_id=headers)

    assert found.summary.size == len(body)
    shown = pretty({"properties": headers_of(found), "body": body_of(found)})
    assert all(each.isprintable() or each == "\n" for each in shown)
