import pytest
from sqlalchemy.orm import Session

from shared.messaging.transactions import Scope
from shared.persistence.engine import build_engine
from shared.persistence.migrations import migrate
from tests.builders.postgres import running_postgres


@pytest.fixture(scope="session")
def engine():
    with running_postgres() as create:
        url = create("kirana_identity")
        migrate("rpc_services.identity", url)
        engine = build_engine(url, workers=20, application="test")
        yield engine
        engine.dispose()


@pytest.fixture
def scope(engine):
    return Scope(engine)


@pytest.fixture
def transaction(engine):
    with Session(engine, expire_on_commit=False) as session:
        yield session
        session.rollback()
