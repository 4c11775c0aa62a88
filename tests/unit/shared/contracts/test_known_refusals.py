import pytest

from shared.contracts import known_refusals
from shared.contracts.catalog import OutOfStock
from shared.contracts.order import OrderNotFound
from shared.contracts.refusals import StillRunning, Unavailable


@pytest.mark.parametrize("refusal", [OutOfStock(shortages=[1]), OrderNotFound(), StillRunning(retry_after=1)])
def test_a_refusal_survives_the_wire_as_its_own_class(refusal):
    again = known_refusals.from_wire(refusal.to_wire())

    assert type(again) is type(refusal)
    assert again.to_wire() == refusal.to_wire()


def test_a_sentence_of_its_own_and_awkward_details_survive_too():
    refusal = Unavailable("Closed for stocktaking.")
    refusal.details = {"sentence": "x", "self": 1}

    assert known_refusals.from_wire(refusal.to_wire()).to_wire() == refusal.to_wire()


def test_a_code_from_a_newer_service_keeps_its_code():
    error = {"exc_path": "kirana.future.code", "exc_args": ["future.code", "Later.", {"a": 1}]}

    refusal = known_refusals.from_wire(error)

    assert (refusal.code, str(refusal), refusal.details) == ("future.code", "Later.", {"a": 1})


@pytest.mark.parametrize(
    "error",
    [
        {},
        {"exc_path": "builtins.ValueError", "exc_args": ["a", "b", {}]},
        {"exc_path": "kirana.x", "exc_args": "abc"},
        {"exc_path": "kirana.x", "exc_args": ["a", "b"]},
        {"exc_path": "kirana.x", "exc_args": ["a", "b", "c"]},
    ],
)
def test_anything_else_is_no_refusal(error):
    assert not known_refusals.is_refusal(error)
