import pytest

from tests.builders.opening import opened


@pytest.fixture(scope="module")
def stack(stack):
    """The run's stack, when what the tests before did to it is over."""
    return opened(stack)
