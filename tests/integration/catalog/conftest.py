import pytest

from shared.messaging.transactions import Scope
from shared.persistence.engine import build_engine
from tests.integration.catalog.private_database import PrivateDatabase
from tests.integration.catalog.shop import Shop


@pytest.fixture(scope="session")
def database():
    private = PrivateDatabase()
    private.start()
    try:
        private.migrate()
        yield private
    finally:
        private.stop()


@pytest.fixture(scope="session")
def engine(database):
    engine = build_engine(database.url, workers=55, application="test")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def scope(engine):
    return Scope(engine)


@pytest.fixture
def shop(scope):
    """Each test has goods of its own in the one shop; at its end the books must balance."""
    shop = Shop(scope)
    yield shop
    assert shop.audit().violations == []
