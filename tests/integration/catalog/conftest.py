from datetime import timedelta

import pytest

from shared.messaging import transactions
from tests.builders.postgres import an_engine_of
from tests.integration.catalog.shop import Shop


@pytest.fixture(scope="session")
def engine(postgres):
    with an_engine_of("catalog", postgres, connections=55) as engine:
        yield engine


@pytest.fixture(scope="session")
def scope(engine):
    return transactions.Scope(engine, at_once=55)


@pytest.fixture(scope="module", autouse=True)
def _patient_with_locks():
    """Fifty who want one row wait for each other, and on a busy machine for longer than any caller would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "DEFAULT_LOCK_LIMIT", timedelta(seconds=30))
        yield


@pytest.fixture
def shop(scope):
    """Each test has goods of its own in the one shop; at its end the books must balance."""
    shop = Shop(scope)
    yield shop
    assert shop.audit().violations == []
