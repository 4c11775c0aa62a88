import pytest

from shared.messaging.transactions import Scope
from tests.builders.postgres import an_engine_of
from tests.integration.catalog.shop import Shop


@pytest.fixture(scope="session")
def engine(postgres):
    with an_engine_of("catalog", postgres, connections=55) as engine:
        yield engine


@pytest.fixture(scope="session")
def scope(engine):
    return Scope(engine, at_once=55)


@pytest.fixture
def shop(scope):
    """Each test has goods of its own in the one shop; at its end the books must balance."""
    shop = Shop(scope)
    yield shop
    assert shop.audit().violations == []
