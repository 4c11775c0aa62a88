from dataclasses import dataclass

import msgspec
import pytest

from kirana.calls import Calls, RemoteFault, answer_of, context_of
from shared.contracts import cart, catalog, identity, order
from shared.contracts.refusals import InvalidRequest, Refusal, Unavailable
from tests.builders.servers import free_port


@dataclass(frozen=True)
class Broker:
    amqp: str


def test_an_answer_is_decoded_into_the_type_of_the_contract():
    reply = {"result": {"inserted": 1, "updated": 2, "unchanged": 3, "bad": []}, "error": None}

    loaded = answer_of(catalog.LOAD_PRODUCTS, reply)

    assert loaded == catalog.Loaded(inserted=1, updated=2, unchanged=3, bad=[])


def test_members_that_a_newer_service_adds_are_ignored():
    reply = {"result": {"access": "a", "expires_in": 1, "colour": "red"}, "error": None}

    assert answer_of(identity.MINT_ACCESS_TOKEN, reply).access == "a"


@pytest.mark.parametrize(
    "kind", [catalog.OutOfStock, cart.CartClosed, order.OrderNotFound, identity.UserNotFound, InvalidRequest]
)
def test_every_refusal_comes_back_as_itself(kind):
    reply = {"result": None, "error": kind("In other words.", number=7).to_wire()}

    with pytest.raises(kind) as raised:
        answer_of(catalog.GET_PRODUCT, reply)

    assert str(raised.value) == "In other words."
    assert raised.value.details == {"number": 7}


@pytest.mark.parametrize(
    "error",
    [
        {"exc_type": "IncorrectSignature", "exc_path": "nameko.exceptions.X", "exc_args": ["x"], "value": "x"},
        {"exc_type": "T", "exc_args": ["no.such_code", "A sentence.", {}], "value": "v"},
        {"exc_type": "T"},
    ],
)  # fmt: skip
def test_an_error_outside_the_contract_is_a_fault_not_a_refusal(error):
    with pytest.raises(RemoteFault) as raised:
        answer_of(catalog.GET_PRODUCT, {"result": None, "error": error})

    assert not isinstance(raised.value, Refusal)


def test_an_answer_of_the_wrong_shape_is_not_passed_on():
    with pytest.raises(msgspec.ValidationError):
        answer_of(catalog.GET_PRODUCT, {"result": {"id": "one"}, "error": None})


def test_a_broker_that_is_away_is_said_at_once_and_nothing_was_done():
    with Calls(Broker(f"amqp://u:p@127.0.0.1:{free_port()}/v")) as calls, pytest.raises(Unavailable):
        calls.call(catalog.GET_PRODUCT, catalog.GetProduct(product_id=1), timeout=5)


def context(method, body=b"{}", *, operation_id=None, call_id="c1"):
    written = context_of(method, body, call_id=call_id, operation_id=operation_id, deadline=1.5)
    return {name.removeprefix("nameko."): value for name, value in written.items()}


def test_a_change_that_may_be_asked_for_again_says_what_it_is():
    first, same, other = (
        context(catalog.LOAD_PRODUCTS, body, operation_id="load/1", call_id=call_id)
        for body, call_id in ((b"1", "c1"), (b"1", "c2"), (b"2", "c3"))
    )

    assert {each["operation_id"] for each in (first, same, other)} == {"load/1"}
    assert first["operation_fingerprint"] == same["operation_fingerprint"] != other["operation_fingerprint"]


def test_of_a_change_that_nobody_can_ask_for_again_nothing_is_left_from_which_a_password_could_be_guessed():
    told = context(identity.ENSURE_STAFF, b'{"password": "secret"}')

    assert told["operation_id"] == "operator/c1"
    assert "operation_fingerprint" not in told


def test_a_read_is_no_operation():
    assert set(context(catalog.GET_PRODUCT)) == {"request_id", "deadline", "call_id_stack"}
