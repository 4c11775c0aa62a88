"""Run by a test, as its own process: links that write their last messages, acknowledge what they took, and leave."""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import sys  # noqa: E402

from amqp.basic_message import Message  # noqa: E402

from shared.nameko_ext.link import Link  # noqa: E402
from shared.nameko_ext.publishing import send  # noqa: E402

TAKEN_FROM, WRITTEN_TO = "taken-from", "written-to"


class Leaver:
    """Takes one message; the farewell is written on another channel than its acknowledgement."""

    def __init__(self, url, last_messages):
        self._last_messages = last_messages
        self._taken = eventlet.event.Event()
        self._link = Link(url, "leaver", on_open=self._open)

    def live(self):
        running = eventlet.spawn(self._link.run)
        delivery_tag = self._taken.wait()
        self._link.write(lambda: self._write_last(delivery_tag))
        self._link.close()
        running.wait()

    def _open(self, connection):
        self._channel, self._writing_channel = connection.channel(), connection.channel()
        self._channel.basic_qos(0, 1, a_global=False)
        self._channel.basic_consume(TAKEN_FROM, callback=self._take)

    def _take(self, message):
        if not self._taken.ready():
            self._taken.send(message.delivery_info["delivery_tag"])

    def _write_last(self, delivery_tag):
        for _ in range(self._last_messages):
            send(self._writing_channel, Message(b"x" * 2000), exchange="", routing_key=WRITTEN_TO, mandatory=False)
        self._channel.basic_ack(delivery_tag)


def main():
    url, leavers, last_messages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    living = [eventlet.spawn(Leaver(url, last_messages).live) for _ in range(leavers)]
    for leaver in living:
        leaver.wait()


main()
