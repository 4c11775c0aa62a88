"""What arrives on the reply queue, whatever it is, never ends the link that everybody's answers come over."""

from types import SimpleNamespace

import pytest

from shared.nameko_ext.asking import Asking
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
