from pathlib import Path

import pytest

from kirana.configuration import tokens
from kirana.configuration.keys import Keys
from tests.builders.consul import Consul
from tests.builders.waiting import eventually
from tests.stack_fixture import kirana


class Guarded:
    """A Consul with access control, and the tokens that our command gave out."""

    def __init__(self, server, folder):
        self.server, self.url, self.folder = server, server.url, folder

    def token(self, name):
        return self.file(name).read_text().strip()

    def file(self, name):
        """Where the token of that process lies, or the first one."""
        return self.folder / (tokens.FIRST if name == "first" else tokens.file_of(name))

    def run(self, *arguments, as_="first", **options):
        """A ``kirana`` command on this Consul."""
        return kirana(self.folder, *arguments, variables={
            "KIRANA_CONSUL_URL": self.url, "KIRANA_CONSUL_TOKEN_FILE": str(self.file(as_)), "KIRANA_OPERATOR": "Asha",
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


@pytest.fixture
def keys(guarded):
    """As an operator, who may change what is configured and no more; nothing stands there before or after."""
    with Keys(guarded.url, guarded.token("operator")) as keys:
        cleared(keys)
        yield keys
        cleared(keys)


def cleared(keys):
    assert keys.ask("DELETE", "/v1/kv/kirana/", params={"recurse": ""}).is_success
