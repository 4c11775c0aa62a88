import pytest


@pytest.fixture
def anyio_backend():
    """The event loop that serves in production."""
    return "asyncio", {"use_uvloop": True}
