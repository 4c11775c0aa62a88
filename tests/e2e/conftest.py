import pytest

from tests.builders.opening import opened
from tests.builders.shop import Client, a_customer, an_admin


@pytest.fixture(scope="module")
def stack(stack):
    """The run's stack, when what the tests before did to it is over."""
    return opened(stack)


@pytest.fixture
def client(stack):
    with Client(stack) as client:
        yield client


@pytest.fixture
def customer(stack):
    with a_customer(stack) as client:
        yield client


@pytest.fixture
def admin(stack):
    with an_admin(stack) as client:
        yield client
