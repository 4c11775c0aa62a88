import pytest
from hypothesis import HealthCheck, settings

from tests.stack_fixture import stack

__all__ = ["stack"]

# A busy machine draws slowly and is late: neither is a fault of what is tested.
settings.register_profile("kirana", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("kirana")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The files that take longest begin first, or one of them would be what everybody waits for in the end."""
    items.sort(key=_seconds_of_its_file, reverse=True)


def _seconds_of_its_file(item):
    mark = item.get_closest_marker("takes")
    return mark.args[0] if mark else 0
