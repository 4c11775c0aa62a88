import pytest
from msgspec import Raw
from nameko.exceptions import IncorrectSignature

from shared.contracts import catalog
from shared.contracts.refusals import InvalidRequest
from shared.nameko_ext.rpc import Rpc


@pytest.fixture
def door():
    return Rpc(catalog.GET_PRODUCT)


def test_positional_and_keyword_arguments_mean_the_same(door):
    assert door.name_arguments([5], {}) == door.name_arguments([], {"product_id": 5}) == {"product_id": 5}


@pytest.mark.parametrize(
    ("args", "kwargs"), [([], {}), ([1, 2, 3, 4, 5, 6], {}), ([1], {"product_id": 1}), ([1], {"colour": "red"})]
)
def test_arguments_that_do_not_fit_are_an_incorrect_signature(door, args, kwargs):
    with pytest.raises(IncorrectSignature):
        door.name_arguments(args, kwargs)


def test_the_method_gets_the_contracts_request(door):
    assert door.read({"product_id": 5}) == catalog.GetProduct(product_id=5)


def test_wrong_values_never_reach_the_method(door):
    with pytest.raises(InvalidRequest):
        door.read({"product_id": "five"})


def test_a_framed_request_is_read_from_its_json(door):
    assert door.read_json(Raw(b'{"product_id": 5}')) == catalog.GetProduct(product_id=5)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b'{"product_id": "five"}', InvalidRequest),
        (b'{"product_id": 5, "colour": "red"}', IncorrectSignature),
        (b"{}", IncorrectSignature),
        (b"[5]", IncorrectSignature),
        (b'{"product_id": }', IncorrectSignature),
        (b'{"product_id": "\\ud800"}', IncorrectSignature),
    ],
)
def test_a_framed_request_that_does_not_fit_says_the_same_as_a_lone_one(door, raw, fault):
    with pytest.raises(fault):
        door.read_json(Raw(raw))
