"""While a deployment is under way the last version works on the schema of the next."""

import tarfile
from pathlib import Path

import pytest

from kirana.stack import releases
from kirana.stack.home import Home
from kirana.stack.programs import SERVICES
from tests.stack_fixture import buys, kirana

pytestmark = pytest.mark.takes(40)

ARCHIVE = Path(__file__).parents[1] / "releases" / "last.tar.xz"
PARTS = ("edge", *SERVICES)


@pytest.fixture
def last_version(stack, tmp_path):
    """The stack, migrated to this version, runs the last one."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    home = Home(stack.home)
    last = releases.take_in(tmp_path, home)
    for part in PARTS:
        releases.pin(home, part, last)
    started = kirana(stack.home, "up")
    assert started.returncode == 0, started.stderr
    yield stack
    for part in PARTS:
        releases.pin(home, part, None)
    assert kirana(stack.home, "up").returncode == 0


def test_the_last_version_sells_on_the_newest_schema(last_version):
    buys(last_version.home)

    checked = kirana(last_version.home, "audit")
    assert checked.returncode == 0, checked.stdout
