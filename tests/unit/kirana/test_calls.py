from dataclasses import dataclass

import msgspec
import pytest

from kirana.calls import Calls, RemoteFault, answer_of
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
