from contextlib import asynccontextmanager

import pytest

from tests.builders.plugins import Packages
from tests.builders.tables import RATES, table_text
from tests.fakes.edge import FakeRpc, collaborators, serving


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def packages(tmp_path, monkeypatch):
    return Packages(tmp_path / "packages", monkeypatch)


@pytest.fixture
def an_edge(tmp_path):
    """``async with an_edge(a_route(…), rpc=…) as client``: an edge that serves these routes only."""

    @asynccontextmanager
    async def running(*routes, rpc=None, cache=None, rates=RATES):
        path = tmp_path / "routes.yaml"
        path.write_text(table_text(*routes, rates=rates))
        parts = collaborators(rpc or FakeRpc(get_product={"id": 7}), cache=cache)
        async with serving(parts, path) as client:
            client.parts = parts
            yield client

    return running
