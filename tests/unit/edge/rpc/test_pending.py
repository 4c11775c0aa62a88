import asyncio
from types import SimpleNamespace

import pytest

from edge.rpc.failures import NotExecuted, OutcomeUnknown
from edge.rpc.pending import Pending


def an_answer_to(correlation_id):
    return SimpleNamespace(header=SimpleNamespace(properties=SimpleNamespace(correlation_id=correlation_id)))


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
