"""Messages whose properties a client library cannot read: their bytes, and what sends them."""

from struct import pack

import amqp


class RawMessage(amqp.Message):
    """Carries property bytes that no client library would write."""

    raw = b""

    @classmethod
    def of(cls, body, properties):
        """The message with these properties, as bytes."""
        message = cls(body)
        message.raw = properties
        return message

    def _serialize_properties(self):
        return self.raw


def a_table(fields):
    """Properties that are nothing but headers."""
    return pack(">HI", 0x2000, len(fields)) + fields


def nested(depth):
    """A table in a table, and so on."""
    fields = b""
    for _ in range(depth):
        fields = b"\x01aF" + pack(">I", len(fields)) + fields
    return fields


NO_TEXT = pack("B2s", 2, b"\xff\xfe")

UNREADABLE = {
    "a content type that is no text": pack(">H", 0x8000) + NO_TEXT,
    "a type that is no text": pack(">H", 0x0020) + NO_TEXT,
    "a correlation id that is no text": pack(">H", 0x0400) + NO_TEXT,
    "an impossible time": pack(">HQ", 0x0040, 2**64 - 1),
    "a header with an impossible time": a_table(b"\x01tT" + pack(">Q", 2**63)),
    "a header with a time that the system refuses": a_table(b"\x01tT" + pack(">Q", 10**18)),
    "nine hundred tables in each other": a_table(nested(900)),
    "three thousand tables in each other": a_table(nested(3000)),
    "a header whose name is no text": a_table(NO_TEXT + b"S" + pack(">I", 1) + b"a"),
    "headers that take long to read": a_table(b"\x01aA" + pack(">I", 120_000) + b"V" * 120_000),
}
"""By what is wrong with them. Some clients can read some of them."""

NEVER_PASSED_ON = {
    "a header of a type that is none": a_table(b"\x01t?"),
    "a table that ends too early": a_table(b"\x01tS" + pack(">I", 9))[:-2],
}
"""RabbitMQ cannot read these either, and closes the connection of whoever publishes them."""
