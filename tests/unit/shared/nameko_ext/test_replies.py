"""In which order answers are written, and that none is too large for the broker."""

import eventlet
import orjson
import pytest

from shared.contracts import frames
from shared.nameko_ext.link import LinkDown, WriteFailed
from shared.nameko_ext.outcomes import Outcome, answered
from shared.nameko_ext.replies import LARGEST_ANSWER, Replies
from shared.nameko_ext.wire import ReplyAddress


class Link:
    """Notes what is written, and in how many goes; ``fault`` is what happens instead."""

    def __init__(self):
        self.written, self.goes, self.fault = [], 0, None

    def write(self, write):
        if self.fault is not None:
            raise self.fault
        self.goes += 1
        eventlet.sleep(0)  # as a slow socket would
        write()


class Channel:
    def __init__(self, link):
        self._link = link
        self.events = {"basic_ack": set(), "basic_nack": set(), "basic_return": set()}

    def confirm_select(self):
        pass

    def send_method(self, _method, _signature, arguments, message):
        self._link.written.append((arguments[2], message.body))


class Connection:
    def __init__(self, link):
        self._link = link

    def channel(self):
        return Channel(self._link)


class Delivery:
    def __init__(self, link, name):
        self._link, self._name = link, name

    def ack_now(self):
        self._link.written.append(("acknowledged", self._name))


@pytest.fixture
def link():
    return Link()


@pytest.fixture
def replies(link):
    made = Replies(link)
    made.open(Connection(link), Channel(link))
    return made


def told(body):
    return [(each.id, bytes(each.result)) for each in frames.read_replies(body)]


def test_no_message_is_acknowledged_before_its_answers_are_written(link, replies):
    replies.settle(Delivery(link, "frame"))
    replies.post_framed("edge-1", "a", answered(1))
    replies.post_framed("edge-1", "b", answered(2))
    replies.post(ReplyAddress("edge-2", "c"), answered(3))
    replies.flush()

    assert link.goes == 1
    assert link.written[-1] == ("acknowledged", "frame")
    assert [address for address, _ in link.written] == ["edge-2", "edge-1", "acknowledged"]
    assert told(link.written[1][1]) == [("a", b"1"), ("b", b"2")]


def test_what_is_posted_while_the_socket_is_slow_leaves_with_the_next(link, replies):
    replies.post_framed("edge-1", "a", answered(1))
    eventlet.sleep(0)
    replies.post_framed("edge-1", "b", answered(2))
    replies.post_framed("edge-1", "c", answered(3))
    replies.flush()

    assert [[name for name, _ in told(body)] for _, body in link.written] == [["a"], ["b", "c"]]


def test_flush_returns_when_everything_is_written(link, replies):
    for number in range(5):
        replies.post_framed("edge-1", str(number), answered(number))
        eventlet.sleep(0)
    replies.flush()

    assert sum(len(told(body)) for _, body in link.written) == 5


@pytest.mark.parametrize("spare", [0, 1], ids=["the largest", "one byte more"])
@pytest.mark.parametrize("is_framed", [True, False], ids=["framed", "lone"])
def test_an_answer_that_the_broker_would_not_take_is_told_as_a_fault(link, replies, spare, is_framed):
    outcome = Outcome(b'"' + b"x" * (LARGEST_ANSWER + spare - len(b'""null')) + b'"')
    if is_framed:
        replies.post_framed("edge-1", "a", outcome)
    else:
        replies.post(ReplyAddress("edge-1", "a"), outcome)
    replies.flush()

    ((_, body),) = link.written
    document = orjson.loads(body)
    reply = document["replies"][0] if is_framed else document
    assert len(body) < 4 * 2**20
    assert (reply["result"] is None, reply["error"] and reply["error"]["exc_type"]) == (
        (True, "Internal") if spare else (False, None)
    )


@pytest.mark.parametrize("fault", [LinkDown("x"), WriteFailed("x")], ids=["down", "broke"])
def test_without_a_link_answers_are_dropped_and_counted_and_nothing_is_acknowledged(link, replies, fault):
    link.fault = fault
    replies.settle(Delivery(link, "frame"))
    replies.post_framed("edge-1", "a", answered(1))
    replies.post(ReplyAddress("edge-1", "b"), answered(2))
    replies.flush()

    assert link.written == []
    assert replies.counts["dropped"] == 2
