"""No message cuts an edge's link: neither one sent to where it awaits answers nor one among the events it hears."""

import asyncio
from contextlib import closing

import amqp
import pytest

from edge.cache.feed import PurgeFeed
from edge.revocation_feed import RevocationFeed
from edge.revocations import EndedSessions
from edge.rpc.calls import RpcReply
from shared.contracts import exchanges, headers
from shared.contracts.events import CACHE_PURGED, PRODUCT_CHANGED, SESSION_REVOKED
from tests.builders.events import a_revocation, an_event_of
from tests.builders.unreadable import UNREADABLE, RawMessage
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.calling import a_caller, a_context, method, run

EXCHANGES = {exchanges.events_of(each.service) for each in (PRODUCT_CHANGED, CACHE_PURGED, SESSION_REVOKED)}
EXCHANGES.add(exchanges.events_of("order"))
NO_TEXT = [b"\xff\xfe", b"\xed\xa0\x80"]

pytestmark = pytest.mark.usefixtures("stock_service", "a_patient_link")


async def sent(broker, *messages):
    """Publish each ``(message, exchange, key)``, in a thread."""

    def send():
        with closing(broker.connect()) as connection:
            channel = connection.channel()
            for each in messages:
                channel.basic_publish(*each)

    await asyncio.to_thread(send)


async def lives_through(caller, broker, message, exchange, key):
    """It is taken in, unclaimed, and the link with a call in flight is the same as before."""
    link = caller.broker.link()
    seen = caller.pending.counts["unclaimed"]
    slow = asyncio.create_task(caller.client.call(method("slow"), {"seconds": 0.5}, context=a_context(60)))
    await eventually_async(lambda: len(caller.pending) == 1)

    await sent(broker, (message, exchange, key))

    await eventually_async(lambda: link.lost.done() or caller.pending.counts["unclaimed"] > seen)
    assert (await slow).result == 0.5
    assert not link.lost.done()


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_message_that_cannot_be_read_among_the_answers_costs_no_call_in_flight(broker, name):
    async def scenario():
        async with a_caller(broker.url) as caller:
            await eventually_async(caller.answers)
            message = RawMessage.of(b"{}", UNREADABLE[name])
            await lives_through(caller, broker, message, exchanges.CALLS, caller.broker.link().reply_to)

    run(scenario())


@pytest.mark.parametrize("key", NO_TEXT)
def test_nor_does_one_with_a_routing_key_that_is_no_text(broker, key):
    async def scenario():
        async with a_caller(broker.url) as caller:
            await eventually_async(caller.answers)
            table = {headers.RETURN_TO: caller.broker.link().reply_to}
            message = amqp.Message(b"{}", application_headers=table)
            await lives_through(caller, broker, message, exchanges.EXPIRED, key)

    run(scenario())


class Heard:
    """Stands for the response cache: notes what is purged."""

    def __init__(self):
        self.listening = 0
        self.purged = []

    def distrust(self):
        self.listening += 1

    async def purge(self, tags, *, by):
        self.purged.append((by, set(tags)))


class NothingRevoked:
    """Stands for identity."""

    async def call(self, method, arguments, *, context):
        del method, arguments, context
        return RpcReply({"sessions": {}, "users": {}})


@pytest.fixture
def event_exchanges(broker):
    with closing(broker.connect()) as connection:
        for exchange in EXCHANGES:
            connection.channel().exchange_declare(exchange, "topic", durable=True, auto_delete=False)


@pytest.mark.usefixtures("event_exchanges")
def test_an_event_with_properties_that_cannot_be_read_is_heard_like_any_other(broker):
    changed = an_event_of(PRODUCT_CHANGED, "a", product_id=7, category_id=1, version=2)
    purge = an_event_of(CACHE_PURGED, "a", tags=["jwks"])

    async def scenario():
        heard, sessions = Heard(), EndedSessions(wall=lambda: 0)
        async with a_caller(broker.url) as caller:
            caller.broker.follow(PurgeFeed(heard).follow)
            caller.broker.follow(RevocationFeed(sessions, rpc=NothingRevoked()).follow)
            caller.broker.link().lose("followers are for the next")
            await eventually_async(lambda: heard.listening and sessions.is_complete, what="the feeds")
            link = caller.broker.link()

            for number, properties in enumerate(UNREADABLE.values()):
                bodies = {PRODUCT_CHANGED: changed, CACHE_PURGED: purge, SESSION_REVOKED: a_revocation(str(number))}
                for event, body in bodies.items():
                    message = RawMessage.of(body, properties)
                    await sent(broker, (message, exchanges.events_of(event.service), event.name))

            count = len(UNREADABLE)
            await eventually_async(lambda: link.lost.done() or len(heard.purged) == 2 * count, what="purges")
            await eventually_async(lambda: link.lost.done() or sessions.counts["session"] == count, what="ends")
            assert not link.lost.done()
            assert heard.listening == 1
            assert {by for by, _ in heard.purged} == {PRODUCT_CHANGED.name, CACHE_PURGED.name}

    run(scenario())
