import pytest

from rpc_services.cart.assembly import RemoteProducts, assemble, new_token, operation_of
from shared.contracts.catalog import GET_PRODUCTS, GetProducts
from shared.contracts.refusals import OutcomeUnknown, Unavailable
from shared.messaging.call import Call
from tests.fakes.carts import a_product


class FakeCatalog:
    def __init__(self, answer):
        self.answer, self.calls = answer, []

    def call(self, method, request):
        self.calls.append((method, request))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_products_are_asked_for_all_at_once():
    catalog = FakeCatalog([a_product(2)])

    assert RemoteProducts(catalog).find([1, 2]) == {2: a_product(2)}
    assert catalog.calls == [(GET_PRODUCTS, GetProducts(product_ids=[1, 2]))]


def test_a_question_without_an_answer_had_no_effect():
    with pytest.raises(Unavailable):
        RemoteProducts(FakeCatalog(OutcomeUnknown())).find([1])


def test_a_call_that_names_no_operation_intends_none():
    assert operation_of(Call(request_id="r")) is None
    assert operation_of(Call(request_id="r", operation_id="o")).fingerprint == ""


def test_tokens_are_long_and_never_the_same():
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 43


def test_putting_it_together_connects_nowhere(tmp_path):
    journal = tmp_path / "journal"

    assemble({"KIRANA_REDIS_CARTS": "redis://127.0.0.1:1/0", "KIRANA_CART_JOURNAL": str(journal)})

    assert not journal.exists()
