import pytest
from sqlalchemy import text

from shared.messaging.transactions import Scope
from tests.builders.postgres import an_engine_of


@pytest.fixture(scope="session")
def engine(postgres):
    with an_engine_of("order", postgres) as engine:
        yield engine


@pytest.fixture
def scope(engine):
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE orders, operations, outbox, event_sequences, inbox CASCADE"))
    return Scope(engine)
