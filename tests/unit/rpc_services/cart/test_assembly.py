import pytest

from rpc_services.cart.assembly import LoadedProducts, RemoteProducts, assemble, new_token, operation_of
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


def test_what_is_in_many_baskets_is_asked_for_once_and_everybody_gets_his_own():
    catalog = FakeCatalog([a_product(2), a_product(3)])

    found = RemoteProducts(catalog).find_all([(1, 2), (2, 3), (4,)])

    assert found == {(1, 2): {2: a_product(2)}, (2, 3): {2: a_product(2), 3: a_product(3)}, (4,): {}}
    assert catalog.calls == [(GET_PRODUCTS, GetProducts(product_ids=[1, 2, 3, 4]))]


def test_so_many_products_are_not_asked_for_at_once_that_it_takes_long():
    catalog = FakeCatalog([])

    RemoteProducts(catalog).find_all([(number,) for number in range(1, 502)])

    assert [len(request.product_ids) for _, request in catalog.calls] == [200, 200, 101]


def test_an_empty_cart_asks_for_nothing():
    asked = []
    products = LoadedProducts(lambda basket: asked.append(basket) or {1: a_product(1)})

    assert products.find([]) == {}
    assert products.find([2, 1, 2]) == {1: a_product(1)}
    assert asked == [(1, 2)]


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
