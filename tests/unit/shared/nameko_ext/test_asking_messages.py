"""What arrives on the reply queue, whatever it is, never ends the link that everybody's answers come over."""

import time
from types import SimpleNamespace

import eventlet
import pytest

from shared.nameko_ext.asking import Asking
from shared.nameko_ext.failures import Blame, NobodyKnows, NotExecuted
from shared.nameko_ext.link import Link
from shared.nameko_ext.pending import Pending


@pytest.fixture
def heard():
    return []


@pytest.fixture
def asking(heard):
    asking = Asking()
    asking._pending = SimpleNamespace(resolve=lambda properties, body: heard.append((properties["type"], body)))
    return asking


def test_a_notice_without_a_body_is_heard(asking, heard):
    asking._on_message(SimpleNamespace(properties={"type": "kirana.taken"}, body=""))

    assert heard == [("kirana.taken", b"")]


def test_a_call_that_comes_back_is_counted_whether_anybody_waits_for_it_or_not(asking):
    asking._pending = Pending()
    expired = {"correlation_id": "1", "application_headers": {"x-death": [{"reason": "expired"}]}}

    asking._on_message(SimpleNamespace(properties=expired, body=b"{}"))

    assert (asking.expired_messages, asking.late_replies) == (1, 0)


@pytest.mark.parametrize(("sees", "looking"), [(True, {"looking": True}), (False, {"looking": False}), (None, {})])
def test_the_link_for_looking_at_queues_is_one_while_there_is_one(asking, sees, looking):
    asking.link, asking._listeners = SimpleNamespace(is_open=True), SimpleNamespace(sees=sees)

    assert asking.links == {"asking": True} | looking


def test_a_message_that_nobody_expected_is_survived(asking, heard):
    asking._on_message(SimpleNamespace(properties={}, body=b"{}"))

    assert heard == []


@pytest.fixture
def link(monkeypatch):
    """One that a call would wait for as long as it has, if it waited."""
    monkeypatch.setattr("shared.nameko_ext.asking.OPENING_SECONDS", 60.0)
    return Link("amqp://nowhere", "asking", on_open=print)


def ask(asking, link):
    asking.link = link
    return asking._ask(SimpleNamespace(call=lambda _: "answer"), SimpleNamespace(until=time.monotonic() + 60))


def a_connection():
    return SimpleNamespace(collect=lambda: None)


def test_whoever_calls_before_the_first_link_waits_for_it(asking, link):
    caller = eventlet.spawn(ask, asking, link)
    eventlet.sleep(0)

    link._take(a_connection())

    assert caller.wait() == "answer"


def test_whoever_calls_while_a_link_is_lost_is_refused_at_once_and_holds_no_worker(asking, link):
    link._take(a_connection())
    link.drop()
    began = time.monotonic()

    with pytest.raises(NotExecuted) as refused:
        ask(asking, link)

    assert refused.value.blame is Blame.BROKER
    assert time.monotonic() - began < 30


def test_a_link_that_is_back_is_used(asking, link):
    link._take(a_connection())
    link.drop()
    link._take(a_connection())

    assert ask(asking, link) == "answer"


class FlightStub:
    id = "1"
    kind = "kirana.batch"
    method = "batch"

    def body(self):
        return b"{}"

    def headers(self):
        return {}

    def patience(self):
        return 1.0


def test_a_call_that_asks_for_its_answer_where_nobody_listens_any_more_is_of_unknown_outcome_at_once(asking):
    asking.link, asking._is_blocked, asking._reply_to = None, False, "the old queue"
    written = []

    def publish_late(_link, message, *_, **__):
        written.append(message.properties["reply_to"])
        asking._reply_to = "the new queue"

    asking._confirms = SimpleNamespace(publish=publish_late)

    with pytest.raises(NobodyKnows):
        asking._write(FlightStub(), "catalog.batch")
    assert written == ["the old queue"]
