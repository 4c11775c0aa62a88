"""A message arrives whatever its bytes are, once, and no fault of whoever takes it counts as one of the message."""

from struct import pack

import amqp
import pytest
from amqp.serialization import dumps, loads
from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.unreadable import forgiving_frame_handler, readable
from tests.builders.unreadable import a_table, nested

NOTHING = b"\x00\x00"
TAG = "the consumer's"


UNREADABLE = {
    "a content type that is no text": pack(">HB2s", 0x8000, 2, b"\xff\xfe"),
    "a time in the year 292277026596": a_table(b"\x01tT" + pack(">Q", 2**63)),
    "a time that the operating system refuses": a_table(b"\x01tT" + pack(">Q", 10**18)),
    "three thousand tables in each other": a_table(nested(3000)),
    "a table that ends too early": a_table(b"\x01tS" + pack(">I", 9))[:-2],
    "a type that is none": a_table(b"\x01t?"),
}


class Connection:
    bytes_recv = 0


def delivery(key, *, exchange="nameko-rpc"):
    return pack(">HH", *amqp.spec.Basic.Deliver) + dumps("sLbss", (TAG, 7, True, exchange, key))


def deliver(properties, body, take, *, key="demo.echo"):
    on_frame = forgiving_frame_handler(Connection(), take, instead=lambda _: NOTHING)
    on_frame((1, 1, delivery(key)))
    on_frame((2, 1, pack(">HxxQ", 60, len(body)) + properties))
    if body:
        on_frame((3, 1, body))


def names_in(arguments):
    tag, number, again, exchange, key = loads("sLbss", arguments, 4)[0]
    assert (tag, number, again) == (TAG, 7, True)
    return exchange, key


@pytest.mark.parametrize("body", [b"the body", b""])
@pytest.mark.parametrize("name", UNREADABLE)
def test_properties_that_cannot_be_read_arrive_as_others(name, body):
    arrived = []

    deliver(UNREADABLE[name], body, lambda *message: arrived.append(message))

    ((_, _, arguments, message),) = arrived
    assert names_in(arguments) == ("nameko-rpc", "demo.echo")
    assert (message.properties, bytes(message.body or b"")) == ({}, body)


def test_a_fault_of_whoever_takes_a_message_without_a_body_is_its_own_and_the_message_comes_once():
    arrived = []

    def take(*message):
        arrived.append(message)
        raise ValueError("of whoever takes it")

    with pytest.raises(ValueError, match="of whoever takes it"):
        deliver(amqp.Message(b"", content_type="text/plain")._serialize_properties(), b"", take)

    assert [message[3].properties for message in arrived] == [{"content_type": "text/plain"}]


@pytest.mark.parametrize(
    ("key", "read"),
    [
        (b"demo.echo", "demo.echo"),
        ("demo.größe".encode(), "demo.größe"),
        (b"demo.\xff\xfe", "demo.??"),
        (b"demo.\xed\xa0\x80", "demo.???"),
        (b"\xff" * 255, "?" * 255),
        (b"", ""),
    ],
)
def test_a_routing_key_that_is_no_text_arrives_as_one(key, read):
    arrived = []

    deliver(NOTHING, b"x", lambda *message: arrived.append(message), key=key)

    assert names_in(arrived[0][2]) == ("nameko-rpc", read)


@given(exchange=st.binary(max_size=255), key=st.binary(max_size=255))
def test_whatever_bytes_the_names_have_they_are_read_as_text_and_what_is_text_stays(exchange, key):
    for raw, read in zip((exchange, key), names_in(readable(delivery(key, exchange=exchange))), strict=True):
        read.encode()
        try:
            assert raw.decode() == read
        except UnicodeDecodeError:
            assert read.isascii()


def test_a_frame_that_comes_out_of_turn_is_still_the_end_of_the_connection():
    on_frame = forgiving_frame_handler(Connection(), print, instead=lambda _: NOTHING)

    with pytest.raises(amqp.exceptions.UnexpectedFrame):
        on_frame((2, 1, pack(">HxxQ", 60, 0) + NOTHING))
