"""What a service tells of its calls to others: the link by which it sees who listens, and calls that came back."""

from __future__ import annotations

import uuid
from contextlib import closing

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.builders.servers import free_port
from tests.builders.waiting import eventually
from tests.contract.caller import Caller
from tests.contract.conftest import is_well
from tests.contract.kirana_demo import NEWS_SECONDS
from tests.contract.played import Played

pytestmark = pytest.mark.takes(30)

LOOKING = ("kirana_broker_connected", "looking")
EXPIRED = ("kirana_rpc_expired_total", None)


@pytest.fixture
def told(rabbit, demo, start):
    """Asks a demo service that has the queue to itself, and has called nobody yet, for its metrics."""
    demo.end()
    port = free_port()
    measured = start("-m", "kirana_demo", name="measured-caller", KIRANA_METRICS_PORT=str(port))
    eventually(lambda: is_well(rabbit, "demo"), what="the measured service")

    def told():
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return {(sample.name, sample.labels.get("link")): sample.value for sample in samples}

    eventually(told, what="its metrics", despite=(httpx.TransportError,))
    yield told
    measured.end()
    demo.again()
    eventually(lambda: is_well(rabbit, "demo"), what="the demo service")


@pytest.fixture
def caller(rabbit):
    """In place of the one that wants the session's service alive."""
    with closing(rabbit.connect()) as connection:
        yield Caller(connection)


@pytest.fixture
def played(rabbit, caller):
    """A service that listens and takes nothing up: its calls come back when they expire, as in the shop."""
    played = Played(caller.connection.channel(), f"played-{uuid.uuid4().hex[:8]}")
    rabbit.ctl("set_policy", "-p", "kirana", played.name, f"^rpc-{played.name}$", '{"dead-letter-exchange": "dlx.rpc"}')
    yield played
    rabbit.ctl("clear_policy", "-p", "kirana", played.name)
    played.leave()


def test_a_service_that_calls_tells_whether_it_sees_who_listens_and_what_came_back(caller, played, told):
    before = told()

    asked = caller.ask("demo.ask_together", service=played.name, calls=[{"method": "shout"}], patience=3 * NEWS_SECONDS)
    eventually(lambda: told().get(LOOKING) == 1, what="the link for looking")
    (answer,) = caller.wait(asked).result

    assert (LOOKING in before, before[EXPIRED]) == (False, 0)
    assert answer["code"] == "service.unavailable"
    eventually(lambda: told()[EXPIRED] == 1, what="the call that came back")
