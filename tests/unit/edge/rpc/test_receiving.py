"""What an edge's connection makes of frames that its library cannot read."""

import asyncio
from struct import pack

import pytest
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError
from hypothesis import given
from hypothesis import strategies as st
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic, Queue
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from edge.rpc.receiving import LARGEST_HEADER, ForgivingReceiver
from tests.builders.unreadable import NEVER_PASSED_ON, UNREADABLE

BAD = UNREADABLE | NEVER_PASSED_ON
NOTHING = Basic.Properties()
GOOD = Basic.Properties(content_type="application/json", correlation_id="7", headers={"nameko.replayed": True})
CHANNEL = 3
TAG = "the consumer's"


def on_the_wire(kind, payload):
    return pack(">BHI", kind, CHANNEL, len(payload)) + payload + b"\xce"


def header(properties, *, size=2):
    return on_the_wire(2, pack(">HxxQ", 60, size) + properties)


def short(text):
    return bytes((len(text),)) + text


def delivery(key, *, exchange=b"nameko-rpc"):
    return on_the_wire(1, pack(">HH", 60, 60) + short(TAG.encode()) + pack(">QB", 7, 1) + short(exchange) + short(key))


def received(data):
    """The frames in ``data``, until it ends."""

    async def receive():
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return [each async for each in ForgivingReceiver(reader)]

    return asyncio.run(receive())


def test_what_can_be_read_arrives_as_it_was_sent():
    told = Basic.Deliver(TAG, 7, exchange="nameko-rpc", routing_key="größe")
    sent = [told, ContentHeader(0, 2, GOOD), ContentBody(b"ab"), Queue.DeclareOk("q", 1, 2)]
    wire = b"".join(frame.marshal(each, CHANNEL) for each in sent) + Heartbeat().marshal()

    *found, (_, _, last) = received(wire)

    assert [channel for _, channel, _ in found] == [CHANNEL] * 4
    assert [frame.marshal(each, CHANNEL) for _, _, each in found] == [frame.marshal(each, CHANNEL) for each in sent]
    assert isinstance(last, Heartbeat)


@pytest.mark.parametrize("name", BAD)
def test_properties_that_cannot_be_read_are_none_and_what_comes_after_is_read(name):
    bad, good = header(BAD[name], size=5), frame.marshal(ContentHeader(0, 2, GOOD), CHANNEL)

    (_, channel, first), (_, _, second) = received(bad + good)

    assert (channel, first.body_size, first.properties) == (CHANNEL, 5, NOTHING)
    assert (second.body_size, second.properties) == (2, GOOD)


def test_headers_that_nobody_here_would_send_are_not_even_read_as_that_could_take_long():
    table = Basic.Properties(headers={"a": "x" * LARGEST_HEADER}).marshal()

    ((_, _, found),) = received(header(table))

    assert (found.body_size, found.properties) == (2, NOTHING)


@pytest.mark.parametrize("key", [b"\xff\xfe", b"demo.\xed\xa0\x80", b"\xff" * 255])
@pytest.mark.parametrize("exchange", [b"nameko-rpc", b"\xff"])
def test_a_delivery_whose_names_are_no_text_has_none(key, exchange):
    ((_, channel, found),) = received(delivery(key, exchange=exchange))

    assert channel == CHANNEL
    assert (found.consumer_tag, found.delivery_tag, found.redelivered) == (TAG, 7, True)
    assert (found.exchange, found.routing_key) == ("", "")


@given(key=st.binary(max_size=255), properties=st.binary(max_size=300))
def test_whatever_bytes_a_message_brings_it_arrives(key, properties):
    (_, _, told), (_, _, found) = received(delivery(key) + header(pack(">H", 0xFFFC) + properties))

    assert (told.consumer_tag, found.body_size) == (TAG, 2)


@pytest.mark.parametrize(
    "data",
    [
        on_the_wire(1, pack(">HH", 50, 11) + short(b"\xff") + pack(">II", 0, 0)),
        on_the_wire(2, b"\x00"),
        on_the_wire(9, b"\x00"),
        delivery(b"x")[:-1] + b"\x00",
    ],
    ids=["a name in another method", "a header without a start", "no kind of frame", "no end of a frame"],
)
def test_what_no_message_can_bring_about_is_the_end_of_the_connection(data):
    with pytest.raises(InvalidFrameError):
        received(data)


def test_a_connection_that_ends_within_a_frame_was_lost():
    with pytest.raises(AMQPConnectionError):
        received(delivery(b"x")[:-4])
