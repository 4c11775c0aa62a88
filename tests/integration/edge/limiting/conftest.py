import pytest

from tests.builders import redis as private


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def server():
    with private.Redis() as server:
        yield server
