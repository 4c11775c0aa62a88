"""One PostgreSQL for all services under test, each in a database of its own."""

import pytest

from tests.builders.postgres import Postgres


@pytest.fixture(scope="session")
def postgres():
    with Postgres() as server:
        yield server
