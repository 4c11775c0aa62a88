from contextlib import closing

import pytest

from rpc_services.cart import shards as shards_module
from rpc_services.cart.journal import Journal
from rpc_services.cart.shards import Shards
from rpc_services.cart.storage import RedisCarts
from shared.values.identifiers import new_id
from shared.values.times import now
from tests.builders.redis import Redis


@pytest.fixture(scope="session")
def servers():
    with Redis() as one, Redis() as other:
        yield [one, other]


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine is no silent Redis. No test here is about one: those that are killed refuse at once."""
    monkeypatch.setattr(shards_module, "TIMEOUT_SECONDS", 20.0)


@pytest.fixture
def journal(tmp_path):
    with closing(Journal(tmp_path / "journal.sqlite3")) as journal:
        yield journal


@pytest.fixture
def shards(servers):
    with closing(Shards([server.url for server in servers])) as shards:
        yield shards


@pytest.fixture
def carts(shards, journal):
    return RedisCarts(shards, journal, clock=now, new_id=new_id)
