"""Repeated calls, at once or later or after a crash: one effect and one answer."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from tests.builders.waiting import eventually
from tests.contract.caller import Caller
from tests.contract.conftest import is_well

PARKING = "parking.demo.calls"


def _operation(operation_id: str, fingerprint: str = "f") -> dict[str, str]:
    return {"nameko.operation_id": operation_id, "nameko.operation_fingerprint": fingerprint}


def _new() -> str:
    return str(uuid.uuid4())


def _add_alone(caller: Caller, name: str) -> str:
    return caller.ask("demo.add_thing", name=name)


def _add_in_a_frame(caller: Caller, name: str) -> str:
    caller.send_frame("demo", [{"id": name, "method": "add_thing", "kwargs": {"name": name}, "context": {}}])
    return name


class _Database:
    """The demo's, in which the COMMIT of whoever adds a thing called ``held …`` waits until it is let go."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        cursor.execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0"
            " AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';"
            "CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW WHEN (NEW.name LIKE 'held %') EXECUTE FUNCTION hold();"
            "SELECT pg_advisory_lock(1)"
        )

    def somebody_commits(self) -> bool:
        return bool(self._number("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))

    def let_go(self) -> None:
        self._cursor.execute("SELECT pg_advisory_unlock(1)")

    def things(self, name: str) -> int:
        return self._number("SELECT count(*) FROM things WHERE name = %s", name)

    def forget(self) -> None:
        self._cursor.execute("SELECT pg_advisory_unlock_all(); DROP FUNCTION hold CASCADE")

    def _number(self, query: str, *values: str) -> int:
        self._cursor.execute(query, values or None)
        return int(self._cursor.fetchone()[0])


@contextmanager
def _holding_commits(url: str) -> Iterator[_Database]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        database = _Database(cursor)
        try:
            yield database
        finally:
            database.forget()


def test_a_repetition_gets_the_first_answer_and_says_so(caller):
    operation, name = _new(), _new()

    first = caller.call("demo.add_thing", name=name, headers=_operation(operation))
    again = caller.call("demo.add_thing", name=name, headers=_operation(operation))

    assert again.result == first.result
    assert not first.properties.get("application_headers")
    assert again.properties["application_headers"] == {"nameko.replayed": True}
    assert caller.call("demo.count_things", name=name).result["things"] == 1


def test_a_refusal_is_repeated_too_and_changed_nothing(caller):
    operation, name = _new(), f"refused {_new()}"

    first = caller.call("demo.add_thing", name=name, headers=_operation(operation))
    again = caller.call("demo.add_thing", name=name, headers=_operation(operation))

    assert first.code == again.code == "demo.thing_refused"
    assert first.body["error"]["exc_args"] == again.body["error"]["exc_args"]
    assert again.properties["application_headers"] == {"nameko.replayed": True}
    assert caller.call("demo.count_things", name=name).result["things"] == 0


def test_another_request_under_the_same_operation_is_refused(caller):
    operation = _new()
    caller.call("demo.add_thing", name=_new(), headers=_operation(operation))

    reply = caller.call("demo.add_thing", name=_new(), headers=_operation(operation, "g"))

    assert reply.code == "idempotency.key_reused"


def test_the_longest_operation_id_has_one_effect_and_a_longer_one_none(caller):
    longest = "".join(chr(0x4E00 + number) for number in os.urandom(341))  # in bytes of which none can be spared
    names = [_new(), _new()]

    first, again = (caller.call("demo.add_thing", name=names[0], headers=_operation(longest)) for _ in range(2))
    refused = caller.call("demo.add_thing", name=names[1], headers=_operation(longest + "一"))

    assert first.result == again.result
    assert refused.body["error"]["exc_type"] == "MalformedRequest"
    assert [caller.call("demo.count_things", name=name).result["things"] for name in names] == [1, 0]


def test_changes_under_a_blank_operation_id_are_not_taken_for_one_another(caller):
    names = [_new(), _new()]
    caller.channel.queue_purge(PARKING)

    alone = [caller.call("demo.add_thing", name=name, headers=_operation("")) for name in names]
    calls = [
        {"id": name, "method": "add_thing", "kwargs": {"name": name}, "context": {"operation_id": " "}}
        for name in names
    ]
    caller.send_frame("demo", calls)
    framed = caller.wait_for_all(names)

    assert {reply.body["error"]["exc_type"] for reply in (*alone, *framed)} == {"MalformedRequest"}
    assert [caller.call("demo.count_things", name=name).result["things"] for name in names] == [0, 0]
    reasons = [eventually(lambda: caller.take(PARKING), what="parking").headers["x-parked-reason"] for _ in range(3)]
    assert all("operation_id is blank" in reason for reason in reasons)


def test_twenty_at_once_have_one_effect_and_one_answer(caller):
    operation, name = _new(), _new()
    replies = []

    def all_are_answered() -> bool:
        """A first run that takes long outlasts the others' patience: then they ask again, as they are told to."""
        missing = range(20 - len(replies))
        asked = [caller.ask("demo.add_thing", name=name, seconds=0.3, headers=_operation(operation)) for _ in missing]
        replies.extend(reply for reply in caller.wait_for_all(asked) if not reply.still_runs)
        return len(replies) == 20

    eventually(all_are_answered, what=lambda: replies)

    assert len({reply.result["id"] for reply in replies}) == 1
    assert sum("nameko.replayed" not in reply.properties.get("application_headers", {}) for reply in replies) == 1
    assert caller.call("demo.count_things", name=name).result["things"] == 1


def test_a_repetition_of_something_slow_is_told_that_it_still_runs(caller, tmp_path):
    operation, name, journal = _new(), _new(), tmp_path / "journal"
    slow = caller.ask("demo.add_thing", name=name, seconds=6, journal=str(journal), headers=_operation(operation))
    eventually(journal.exists, what="the first run's beginning")

    reply = caller.call("demo.add_thing", name=name, seconds=6, headers=_operation(operation))

    assert reply.code == "idempotency.still_running"
    assert reply.body["error"]["exc_args"][2] == {"retry_after": 1}
    assert caller.wait(slow).result["name"] == name


def test_a_call_whose_worker_was_killed_is_done_once_by_the_next(rabbit, start, demo, tmp_path):
    demo.end()  # so that the victim surely gets the call
    victim = start("-m", "kirana_demo", name="victim")
    eventually(lambda: is_well(rabbit, "demo"), what="the victim")
    caller = Caller(rabbit.connect())
    operation, name, journal = _new(), _new(), tmp_path / "journal"
    asked = caller.ask("demo.add_thing", name=name, seconds=1.0, journal=str(journal), headers=_operation(operation))
    eventually(journal.exists, what="the victim's beginning")

    victim.end(signal.SIGKILL)
    demo.again()

    assert caller.wait(asked).result["name"] == name
    assert caller.call("demo.count_things", name=name).result["things"] == 1
    caller.connection.close()


@pytest.mark.parametrize("add", [_add_alone, _add_in_a_frame])
def test_a_call_without_an_operation_id_is_done_once_although_its_worker_was_killed_after_the_commit(
    rabbit, start, demo, environment, add: Callable[[Caller, str], str]
):
    demo.end()  # so that the victim surely gets the call
    victim = start("-m", "kirana_demo", name="victim")
    eventually(lambda: is_well(rabbit, "demo"), what="the victim")
    caller, name = Caller(rabbit.connect()), f"held {_new()}"
    with _holding_commits(environment["KIRANA_DATABASE_URL"]) as database:
        asked = add(caller, name)
        eventually(database.somebody_commits, what="the victim's COMMIT")
        victim.process.send_signal(signal.SIGSTOP)  # so that it never acknowledges what the database does for it now
        database.let_go()
        eventually(lambda: database.things(name), what="the effect of the victim")
        victim.end(signal.SIGKILL)
    demo.again()

    assert caller.wait(asked).result["name"] == name
    assert caller.call("demo.count_things", name=name).result["things"] == 1
    caller.connection.close()


def test_a_message_that_comes_twice_has_one_effect_and_a_new_call_that_asks_the_same_has_its_own(caller):
    name = _new()
    body = json.dumps({"args": [], "kwargs": {"name": name}}).encode()
    asked = caller.send("demo.add_thing", body)
    first = caller.wait(asked)

    caller.send("demo.add_thing", body, correlation_id=asked)
    again, another = caller.wait(asked), caller.call("demo.add_thing", name=name)

    assert again.result == first.result
    assert another.result["id"] != first.result["id"]
    assert caller.call("demo.count_things", name=name).result["things"] == 2
