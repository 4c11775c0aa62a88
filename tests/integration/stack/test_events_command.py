"""``kirana events`` on the whole shop, without any setting: it finds the local stack and its operator by itself."""

import json
import os
import subprocess
import sys
import uuid

import pytest
from amqp import Message
from kombu import Connection

from kirana.parking.ledger import FILE_NAME
from tests.builders.waiting import eventually
from tests.stack_fixture import kirana

QUEUE = "evt-order-order.placed--notification.on_order_placed"
CALL_PARKING = "parking.notification.calls"


@pytest.fixture
def lost_event(stack):
    """What came to the parking of an event that nobody can read; whatever is left of it is dropped."""
    body = json.dumps({"type": "order.placed", "request_id": str(uuid.uuid4()), "password": "hush"})
    with Connection(stack.amqp) as connection:
        channel = connection.channel()
        message = Message(body, content_type="application/json", content_encoding="utf-8")
        channel.basic_publish(message, "", QUEUE)
    request_id = json.loads(body)["request_id"]
    eventually(lambda: parked(stack, request_id), what="parking")
    yield request_id
    for each in parked(stack, request_id):
        kirana(stack.home, "events", "drop", each["id"], "--yes")


def parked(stack, request_id):
    shown = kirana(stack.home, "events", "parked", "--json")
    assert shown.returncode == 0, shown.stderr
    return [each for each in json.loads(shown.stdout) if each["request_id"] == request_id]


def test_a_parked_event_is_found_shown_tried_again_and_dropped(stack, lost_event):
    [found] = parked(stack, lost_event)

    shown = kirana(stack.home, "events", "parked", found["id"])
    replayed = kirana(stack.home, "events", "replay", found["id"])
    again = eventually(lambda: parked(stack, lost_event), what="parking once more")[0]
    dropped = kirana(stack.home, "events", "drop", again["id"], "--yes")

    assert (found["service"], found["from"], found["what"]) == ("notification", QUEUE, "order.placed")
    assert found["reason"].startswith("not this event")
    assert lost_event in shown.stdout
    assert "hush" not in shown.stdout
    assert (replayed.returncode, dropped.returncode) == (0, 0)
    assert again["id"] != found["id"]
    assert not parked(stack, lost_event)
    assert lost_event in (stack.home / FILE_NAME).read_text()


def test_a_call_that_nobody_can_read_lies_apart_from_the_events(stack):
    request_id = str(uuid.uuid4())
    with Connection(stack.amqp) as connection:
        channel = connection.channel()
        before = channel.queue_declare(CALL_PARKING, passive=True).message_count
        message = Message("{", reply_to="nobody", application_headers={"nameko.request_id": request_id})
        channel.basic_publish(message, "nameko-rpc", "notification.check_health")
        eventually(lambda: channel.queue_declare(CALL_PARKING, passive=True).message_count > before, what="parking")

    [found] = parked(stack, request_id)
    dropped = kirana(stack.home, "events", "drop", found["id"], "--yes")

    assert (found["service"], found["kind"], found["from"]) == ("notification", "call", "rpc-notification")
    assert dropped.returncode == 0, dropped.stderr
    assert not parked(stack, request_id)


def test_a_user_of_one_service_may_not_read_what_another_has_parked(stack):
    passwords = json.loads((stack.home / "passwords.json").read_text())
    address = f"amqp://cart:{passwords['amqp.cart']}@{stack.amqp.partition('@')[2]}"

    refused = subprocess.run(
        [sys.executable, "-m", "kirana.cli", "events", "parked"],
        env={**os.environ, "KIRANA_AMQP_URL": address},
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 1
    assert "The broker refuses" in refused.stderr
    assert passwords["amqp.cart"] not in refused.stderr
