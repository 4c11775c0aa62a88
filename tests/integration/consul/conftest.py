from pathlib import Path

import pytest

from tests.builders.consul import Consul
from tests.builders.waiting import eventually
from tests.stack_fixture import kirana


class Guarded:
    """A Consul with access control, and the tokens that our command gave out."""

    def __init__(self, server, folder):
        self.server, self.url, self.folder = server, server.url, folder

    def token(self, name):
        return (self.folder / f"consul_{name}_token").read_text().strip()

    def run(self, *arguments, as_="first", **options):
        """A ``kirana`` command on this Consul."""
        path = self.folder / f"consul_{as_}_token"
        return kirana(self.folder, *arguments, variables={
            "KIRANA_CONSUL_URL": self.url, "KIRANA_CONSUL_TOKEN_FILE": str(path), "KIRANA_OPERATOR": "Asha",
        }, **options)  # fmt: skip


@pytest.fixture(scope="package")
def guarded(tmp_path_factory):
    folder = Path(tmp_path_factory.mktemp("tokens"))
    with Consul() as server:
        guarded = Guarded(server, folder)
        eventually(lambda: bootstrapped(guarded), what="the first token")
        yield guarded


def bootstrapped(guarded):
    """Access control needs a moment after the leader is there."""
    done = kirana(
        guarded.folder, "config", "access", "--bootstrap", "--into", str(guarded.folder), "--consul", guarded.url
    )
    return done.returncode == 0
