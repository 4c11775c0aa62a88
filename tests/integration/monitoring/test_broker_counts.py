"""What no process of ours lives to count, or ever sees, the broker counts: under the names by which our alarms ask."""

import json

import amqp
import pytest

from shared.contracts import parked
from shared.nameko_ext import topology
from tests.builders.promql import alarms, matchers_of, metrics_of
from tests.builders.rabbitmq import VIRTUAL_HOST
from tests.builders.waiting import eventually
from tests.integration.monitoring.test_exporters import JOBS, WatchedRabbit

pytestmark = pytest.mark.takes(40)

QUEUE = topology.event_queue("watched", "thing.added", "watched", "on_thing_added")
PARKING, CALL_PARKING = parked.parking_queue("watched"), parked.call_parking_queue("watched")
ROOM = 3


@pytest.fixture(scope="module")
def rabbit():
    with WatchedRabbit() as server:
        yield server


@pytest.fixture
def channel(rabbit):
    """With the queues of a service, as it declares them itself; of parked messages there is little room."""
    room = json.dumps({"max-length": ROOM})
    rabbit.ctl("set_policy", "-p", VIRTUAL_HOST, "little", "^parking", room, "--apply-to", "queues")
    with rabbit.connect() as connection, connection.channel() as channel:
        topology.declare_events(channel, QUEUE)
        for queue in (PARKING, CALL_PARKING):
            eventually(lambda queue=queue: holds_little(rabbit, queue), what="the policy")
        for queue in (PARKING, CALL_PARKING, QUEUE.name):
            channel.queue_purge(queue)
        yield channel


def holds_little(rabbit, queue):
    listed = rabbit.ctl("list_queues", "-p", VIRTUAL_HOST, "--no-table-headers", "name", "policy").splitlines()
    return [queue, "little"] in [line.split() for line in listed]


def counted(rabbit, alarm):
    """What the broker has counted of that for which the alarm rings."""
    expression = alarms()[alarm]["expr"]
    (name,) = metrics_of(expression)
    wanted = {matcher.label: matcher.value for matcher in matchers_of(expression)}
    return sum(
        sample.value
        for sample in rabbit.tells(JOBS["rabbitmq"])
        if sample.name == name and wanted.items() <= sample.labels.items()
    )


def publish(channel, queue, times):
    channel.confirm_select()
    for number in range(times):
        channel.basic_publish_confirm(amqp.Message(f"{number}", delivery_mode=2), "", queue)


def depth(channel, queue):
    return channel.queue_declare(queue, passive=True).message_count


def die_of_all(channel, queue, deliveries):
    """Take and give back, as the broker sees it when a process dies with its messages."""
    taken = []

    def take(message):
        taken.append(message)
        channel.basic_reject(message.delivery_tag, requeue=True)

    tag = channel.basic_consume(queue, callback=take)
    while len(taken) < deliveries:
        channel.connection.drain_events(timeout=60)
    channel.basic_cancel(tag)


def test_events_of_which_their_service_dies_are_parked_by_the_broker_and_counted(rabbit, channel):
    before, lost = counted(rabbit, "EventsParkedByBroker"), counted(rabbit, "ParkedMessagesLost")
    publish(channel, QUEUE.name, times=2)

    die_of_all(channel, QUEUE.name, deliveries=2 * 6)

    eventually(lambda: depth(channel, PARKING) == 2, what="parking of both")
    eventually(lambda: counted(rabbit, "EventsParkedByBroker") == before + 2, what="two more")
    assert counted(rabbit, "ParkedMessagesLost") == lost


@pytest.mark.parametrize("queue", [PARKING, CALL_PARKING])
def test_what_a_full_queue_of_parked_messages_drops_is_counted(rabbit, channel, queue):
    before, parked_so = counted(rabbit, "ParkedMessagesLost"), counted(rabbit, "EventsParkedByBroker")

    publish(channel, queue, times=ROOM + 2)

    eventually(lambda: depth(channel, queue) == ROOM, what="a full queue")
    eventually(lambda: counted(rabbit, "ParkedMessagesLost") == before + 2, what="two more")
    assert counted(rabbit, "EventsParkedByBroker") == parked_so


def test_what_climbs_the_ladder_is_neither(rabbit, channel):
    """Steps of it are dead-lettered, too, when their time has come."""
    step = QUEUE.retry_name(topology.RETRY_DELAYS_MS[0])
    before = counted(rabbit, "ParkedMessagesLost"), counted(rabbit, "EventsParkedByBroker")

    publish(channel, step, times=1)

    eventually(lambda: depth(channel, QUEUE.name) == 1, what="the event's return")
    assert (counted(rabbit, "ParkedMessagesLost"), counted(rabbit, "EventsParkedByBroker")) == before
