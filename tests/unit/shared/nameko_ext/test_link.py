"""Who writes to a connection that was lost meanwhile never writes to the one that came after it."""

from types import SimpleNamespace

import eventlet
import pytest

from shared.nameko_ext.link import Link, LinkDown


class Transport:
    def __init__(self):
        self.written = b""

    def write(self, part):
        self.written += part

    def _write(self, _part):
        raise AssertionError("written apart")


def a_connection():
    return SimpleNamespace(collect=lambda: None, transport=Transport())


def says(connection, word):
    return lambda: connection.transport._write(word)


class SlowWriter:
    """Holds the connection of its link until it is let go."""

    def __init__(self, link):
        self._may_end = eventlet.event.Event()
        self._greenlet = eventlet.spawn(link.write, self._may_end.wait)
        eventlet.sleep(0)

    def end(self):
        self._may_end.send(None)
        self._greenlet.wait()


@pytest.fixture
def link():
    return Link("amqp://nowhere", "a link", on_open=print)


@pytest.fixture
def connections(link):
    """The one that is there, and the one that replaces it."""
    first, second = a_connection(), a_connection()
    link._take(first)
    return first, second


def renew(link, connection):
    link.drop()
    link._take(connection)


def test_who_waited_to_write_to_a_lost_connection_is_told_that_nothing_was_written(link, connections):
    first, second = connections
    slow = SlowWriter(link)
    waiting = eventlet.spawn(link.write, says(first, b"a call"))
    eventlet.sleep(0)
    renew(link, second)
    slow.end()

    with pytest.raises(LinkDown):
        waiting.wait()
    assert (first.transport.written, second.transport.written) == (b"", b"")


def test_who_still_writes_to_a_lost_connection_holds_up_nobody_on_the_next(link, connections):
    slow = SlowWriter(link)
    renew(link, connections[1])

    with eventlet.Timeout(5):
        link.write(says(connections[1], b"a call"))
    assert connections[1].transport.written == b"a call"
    slow.end()


def test_what_is_written_in_one_go_leaves_in_one_go(link, connections):
    def frames():
        says(connections[0], b"an answer,")()
        says(connections[0], b" an acknowledgement")()

    link.write(frames)

    assert connections[0].transport.written == b"an answer, an acknowledgement"
