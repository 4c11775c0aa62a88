from struct import pack

import amqp

from kirana.parking.frames import UNREADABLE, forgiving_frame_handler, raw_message, returns_in, rewound

BROKEN = pack(">HB2s", 0x8000, 2, b"\xff\xfe")
LOOKED_AT = b"x" + b"\x10x-delivery-countl" + (7).to_bytes(8) + b"more"


class Connection:
    bytes_recv = 0


def received(properties, body):
    """What arrives when the broker delivers these bytes."""
    got = []
    on_frame = forgiving_frame_handler(Connection(), lambda *arguments: got.append(arguments[3]))
    on_frame((1, 1, pack(">HHsQ?ss", *amqp.spec.Basic.Deliver, b"\0", 1, False, b"\0", b"\0")))  # noqa: FBT003
    on_frame((2, 1, pack(">HxxQ", 60, len(body)) + properties))
    on_frame((3, 1, body))
    return got[0]


def test_readable_properties_are_read():
    message = received(amqp.Message(b"", content_type="text/plain")._serialize_properties(), b"x")

    assert message.properties == {"content_type": "text/plain"}


def test_a_message_with_unreadable_properties_arrives_with_their_bytes():
    message = received(BROKEN, b"the body")

    assert bytes(message.body) == b"the body"
    assert message.properties == {"application_headers": {UNREADABLE: "gAAC//4="}}


def test_unreadable_properties_go_back_as_they_came():
    assert raw_message(b"x", BROKEN)._serialize_properties() == BROKEN


def test_what_the_broker_appends_is_read_and_set_back():
    assert returns_in(LOOKED_AT) == 7
    assert returns_in(rewound(LOOKED_AT)) == 0
    assert len(rewound(LOOKED_AT)) == len(LOOKED_AT)
    assert (returns_in(BROKEN), rewound(BROKEN)) == (0, BROKEN)
