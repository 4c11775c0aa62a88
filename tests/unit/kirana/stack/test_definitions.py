import base64
import hashlib
import json
import re

import pytest

from kirana.stack.definitions import CALLS, METHODS, may_bind, may_send, password_hash, render
from shared.contracts import events

AN_ID = "01a1fca9-0b4e-76f7-b4ce-ba00de9f3015"

USERS = (*CALLS, "operator")


@pytest.fixture(scope="module")
def rendered():
    return json.loads(render({user: f"password of {user}" for user in USERS}))


def permission(rendered, user, right):
    [found] = [row for row in rendered["permissions"] if row["user"] == user]
    return re.compile(found[right])


def every_method():
    return [method for methods in METHODS.values() for method in methods]


def test_the_edge_may_call_every_method_but_the_operators():
    may = re.compile(may_send("edge"))

    for method in every_method():
        assert bool(may.search(method.routing_key)) is not method.operator_only, method.routing_key


@pytest.mark.parametrize(
    "key", ["catalog.load_products", "catalog.get_product.x", "xcatalog.get_product", "catalog.*", "#", AN_ID]
)
def test_the_edge_may_publish_nothing_else(key):
    assert not re.search(may_send("edge"), key)


@pytest.mark.parametrize("service", METHODS)
def test_a_service_answers_any_caller_and_calls_only_its_suppliers(service):
    may = re.compile(may_send(service))

    assert may.search(AN_ID)
    assert may.search("amq.gen-JzTY20BRgKO-HjmUJj0wLg")
    for method in every_method():
        allowed = method.service in CALLS[service] and not method.operator_only
        assert bool(may.search(method.routing_key)) is allowed, method.routing_key


@pytest.mark.parametrize("user", CALLS)
@pytest.mark.parametrize("key", ["#", "*", "*.*", "order.place_order", "order.#"])
def test_nobody_binds_a_queue_to_the_calls_of_others(user, key):
    assert not re.search(may_bind(user), key)


def test_a_service_binds_its_own_calls_and_replies():
    assert re.search(may_bind("order"), "order.*")
    assert re.search(may_bind("order"), AN_ID)
    assert not re.search(may_bind("order"), "catalog.*")


def test_the_edge_declares_nothing_but_its_reply_queue(rendered):
    configure = permission(rendered, "edge", "configure")

    assert configure.search("amq.gen-JzTY20BRgKO-HjmUJj0wLg")
    for name in ("nameko-rpc", "rpc-order", "order.events", "parking.order", "amq.default"):
        assert not configure.search(name), name


def test_the_edge_hears_events_but_publishes_none(rendered):
    assert permission(rendered, "edge", "read").search("identity.events")
    assert not permission(rendered, "edge", "write").search("identity.events")
    assert not permission(rendered, "edge", "write").search("amq.default")


@pytest.mark.parametrize("service", METHODS)
def test_a_service_owns_its_queues_and_not_those_of_others(rendered, service):
    own = [f"rpc-{service}", f"evt-order-order.placed--{service}.on_order_placed", f"parking.{service}"]
    own.append(f"parking.{service}.calls")
    own.append(f"retry.5000.{own[1]}")
    others = next(name for name in METHODS if name != service)

    for right in ("configure", "write", "read"):
        may = permission(rendered, service, right)
        assert all(may.search(name) for name in own), right
        assert not may.search(f"rpc-{others}")
        assert not may.search(f"parking.{others}")
        assert not may.search(f"parking.{others}.calls")


@pytest.mark.parametrize("service", METHODS)
def test_a_service_publishes_events_only_in_its_own_name(rendered, service):
    may = permission(rendered, service, "write")

    for other in METHODS:
        assert bool(may.search(f"{other}.events")) is (other == service)


def test_every_event_has_an_exchange(rendered):
    exchanges = {row["name"]: row for row in rendered["exchanges"]}

    for event in events.EVENT_TYPES:
        assert exchanges[f"{event.service}.events"]["type"] == "topic"
        assert exchanges[f"{event.service}.events"]["durable"]


def test_every_user_has_a_password_and_guest_is_none_of_them(rendered):
    names = {user["name"] for user in rendered["users"]}

    assert names == set(USERS)
    assert all(user["password_hash"] for user in rendered["users"])


def test_a_password_hash_is_what_rabbitmq_checks():
    raw = base64.b64decode(password_hash("secret"))

    assert raw[4:] == hashlib.sha256(raw[:4] + b"secret").digest()
    assert password_hash("secret") == password_hash("secret")
    assert password_hash("secret") != password_hash("other")
