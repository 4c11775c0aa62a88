import pytest
from sqlalchemy import delete

from rpc_services.notification.tables import deliveries
from shared.messaging.transactions import Scope
from tests.builders.postgres import an_engine_of


@pytest.fixture(scope="session")
def engine(postgres):
    with an_engine_of("notification", postgres) as engine:
        yield engine


@pytest.fixture
def scope(engine):
    with engine.begin() as connection:
        connection.execute(delete(deliveries))
    return Scope(engine)
