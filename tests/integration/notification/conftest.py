import pytest
from sqlalchemy import delete

from rpc_services.notification.tables import deliveries
from shared.messaging.transactions import Scope
from shared.persistence.engine import build_engine
from shared.persistence.migrations import migrate
from tests.builders.postgres import running_postgres


@pytest.fixture(scope="session")
def engine():
    with running_postgres() as create:
        url = create("kirana_notification")
        migrate("rpc_services.notification", url)
        engine = build_engine(url, workers=20, application="test")
        yield engine
        engine.dispose()


@pytest.fixture
def scope(engine):
    with engine.begin() as connection:
        connection.execute(delete(deliveries))
    return Scope(engine)
