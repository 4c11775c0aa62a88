import pytest

from tests.builders.rabbitmq import Rabbit
from tests.builders.redis import Redis


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def redis_server():
    with Redis() as server:
        yield server


@pytest.fixture(scope="module")
def broker():
    with Rabbit() as server:
        yield server
