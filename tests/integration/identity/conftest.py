import pytest
from sqlalchemy.orm import Session

from shared.messaging.transactions import Scope
from tests.builders.postgres import an_engine_of


@pytest.fixture(scope="session")
def engine(postgres):
    with an_engine_of("identity", postgres) as engine:
        yield engine


@pytest.fixture
def scope(engine):
    return Scope(engine)


@pytest.fixture
def transaction(engine):
    with Session(engine, expire_on_commit=False) as session:
        yield session
        session.rollback()
