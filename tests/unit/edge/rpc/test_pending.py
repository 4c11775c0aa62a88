import asyncio
from types import SimpleNamespace

import pytest
from msgspec import Raw

from edge.rpc.failures import NotExecuted, OutcomeUnknown
from edge.rpc.pending import REMEMBERED, Pending
from shared.contracts.frames import REPLIES, TAKEN, FramedReply, write_replies


class Noting:
    def __init__(self):
        self.ids = []

    def answered(self, replies):
        self.ids += [reply.id for reply in replies]


def a_message(body=b"", **properties):
    known = {"correlation_id": None, "message_type": None, "headers": None, **properties}
    return SimpleNamespace(body=body, header=SimpleNamespace(properties=SimpleNamespace(**known)))


def an_answer_to(correlation_id):
    return a_message(correlation_id=correlation_id)


def in_a_loop(scenario):
    async def run():
        return scenario()

    return asyncio.run(run())


def test_an_answer_reaches_the_call_it_belongs_to():
    def scenario():
        pending = Pending(limit=10)
        with pending.place() as (first, first_answer), pending.place() as (second, second_answer):
            assert first != second
            message = an_answer_to(second)
            pending.resolve(message)

            assert second_answer.result() is message
            assert not first_answer.done()

    in_a_loop(scenario)


def test_an_unknown_repeated_or_nameless_answer_is_dropped_and_counted():
    def scenario():
        pending = Pending(limit=10)
        with pending.place() as (correlation_id, _):
            for answer in (correlation_id, correlation_id, "unknown", None):
                pending.resolve(an_answer_to(answer))

        assert pending.counts["unclaimed"] == 3

    in_a_loop(scenario)


def test_one_call_too_many_is_refused_before_it_is_sent():
    def scenario():
        pending = Pending(limit=1)
        with pending.place(), pytest.raises(NotExecuted), pending.place():
            pass

    in_a_loop(scenario)


def test_a_broken_link_fails_everyone_who_waits():
    def scenario():
        pending = Pending(limit=10)
        with pending.place() as (_, first), pending.place() as (_, second):
            pending.fail_all(OutcomeUnknown("the link was lost"))

            assert isinstance(first.exception(), OutcomeUnknown)
            assert isinstance(second.exception(), OutcomeUnknown)
            assert len(pending) == 0

    in_a_loop(scenario)


def test_nothing_stays_behind_when_the_caller_fails():
    def scenario():
        pending = Pending(limit=10)
        with pytest.raises(ZeroDivisionError), pending.place():
            raise ZeroDivisionError

        assert len(pending) == 0

    in_a_loop(scenario)


@pytest.mark.parametrize(("changing", "failure"), [(False, NotExecuted), (True, OutcomeUnknown)])
def test_a_lone_call_that_expired_was_not_executed_unless_it_may_have_been_delivered_before(changing, failure):
    def scenario():
        pending = Pending(limit=10)
        with pending.place(changing=changing) as (correlation_id, answer):
            pending.resolve(a_message(correlation_id=correlation_id, headers={"x-death": [{"reason": "expired"}]}))

            assert isinstance(answer.exception(), failure)

    in_a_loop(scenario)


def test_answers_in_a_frame_reach_whoever_expects_each_and_the_rest_is_counted():
    def scenario():
        pending = Pending(limit=10)
        recipients = [Noting(), Noting()]
        first, second = (pending.expect(recipient) for recipient in recipients)
        replies = [FramedReply(call_id, Raw(b"1"), Raw(b"null")) for call_id in (second, "unknown", first, first)]

        pending.resolve(a_message(write_replies(replies), message_type=REPLIES))

        assert [recipient.ids for recipient in recipients] == [[first], [second]]
        assert (pending.counts["unclaimed"], len(pending)) == (2, 0)

    in_a_loop(scenario)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"replies": [{"id": 7}]}', b'{"replies": "\xff"}'])
def test_a_frame_of_answers_that_cannot_be_read_is_dropped_and_counted(body):
    def scenario():
        pending = Pending(limit=10)
        pending.resolve(a_message(body, message_type=REPLIES))

        assert pending.counts["unreadable"] == 1

    in_a_loop(scenario)


@pytest.mark.parametrize(
    ("news", "counts"),
    [
        ({"message_type": TAKEN}, {}),
        ({"headers": {"x-death": [{"reason": "expired"}]}}, {"expired": 1}),
    ],
    ids=["taken up", "came back"],
)
def test_news_of_a_message_that_nobody_waits_for_is_no_late_answer(news, counts):
    pending = Pending(limit=10)

    pending.resolve(a_message(correlation_id="long gone", **news))

    assert dict(pending.counts) == counts


def test_a_late_answer_tells_whose_it_is_and_an_expired_call_that_comes_back_does_not():
    late = []
    pending = Pending(limit=10, on_late=late.append)
    for call_id in ("1", "2", "3"):
        pending.give_up(call_id, f"method of {call_id}")

    pending.resolve(an_answer_to("1"))
    pending.resolve(a_message(correlation_id="2", headers={"x-death": []}))
    pending.resolve(a_message(write_replies([FramedReply("3", Raw(b"1"), Raw(b"null"))]), message_type=REPLIES))
    pending.resolve(an_answer_to("1"))

    assert late == ["method of 1", "method of 3"]


def test_of_calls_that_were_given_up_only_so_many_are_remembered():
    late = []
    pending = Pending(limit=10, on_late=late.append)
    for number in range(REMEMBERED + 1):
        pending.give_up(str(number), number)
    for number in range(REMEMBERED + 1):
        pending.resolve(an_answer_to(str(number)))

    assert late == list(range(1, REMEMBERED + 1))
