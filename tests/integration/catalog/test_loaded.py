"""Products that many ask for at once, one each."""

from sqlalchemy import text

from rpc_services.catalog import use_cases
from rpc_services.catalog.storage import LoadedProducts, rows_of
from shared.contracts.catalog import GetProduct, ProductNotFound
from tests.builders.together import loading, together

UNKNOWN = 2**40


def test_many_products_are_one_statement(shop):
    ids = [shop.a_product().id for _ in range(30)]

    with loading(shop.scope, rows_of) as (load, statements):
        found = together(
            lambda product_id: use_cases.get_product(GetProduct(product_id=product_id), products=LoadedProducts(load)),
            *ids,
            *ids,
        )

    assert found == [shop.get(product_id) for product_id in ids] * 2
    assert len(statements) == 1


def test_one_unknown_product_and_one_that_cannot_be_read_harm_nobody_else(shop):
    good, bad, gone = (shop.a_product().id for _ in range(3))
    shop.delete(gone, expected_version=1)

    def price(currency):
        with shop.scope.writing() as session:
            session.execute(text("UPDATE products SET currency = :to WHERE id = :id"), {"to": currency, "id": bad})

    price("XXX")
    with loading(shop.scope, rows_of) as (load, statements):
        found = together(
            lambda product_id: use_cases.get_product(GetProduct(product_id=product_id), products=LoadedProducts(load)),
            *(UNKNOWN, good, bad, gone),
        )
    price("EUR")

    unknown, product, fault, missing = found
    assert isinstance(unknown, ProductNotFound)
    assert unknown.details == {"product_ids": [UNKNOWN]}
    assert product.id == good
    assert isinstance(fault, Exception)
    assert not isinstance(fault, ProductNotFound)
    assert isinstance(missing, ProductNotFound)
    assert len(statements) == 1
