"""What arrives on the reply queue, whatever it is, never ends the link that everybody's answers come over."""

from types import SimpleNamespace

import pytest

from shared.nameko_ext.asking import Asking


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


def test_a_message_that_nobody_expected_is_survived(asking, heard):
    asking._on_message(SimpleNamespace(properties={}, body=b"{}"))

    assert heard == []
