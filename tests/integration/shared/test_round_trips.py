"""Every message to the database is a wait for its answer: how many there are is part of what a call costs."""

import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError, InternalError

from shared.contracts.refusals import DeadlinePassed, Unavailable
from shared.messaging.call import Call, serving
from shared.messaging.tables import metadata
from shared.messaging.transactions import Scope
from shared.persistence import engine as engines
from shared.persistence.ahead import put_ahead
from shared.persistence.engine import build_engine
from shared.resilience.deadline import Deadline
from tests.builders.overheard import Overheard
from tests.contract.kirana_demo.contract import ThingRefused

READ, INSERT, COUNT = text("SELECT :what"), text("INSERT INTO notes VALUES (:what)"), text("SELECT count(*) FROM notes")


@pytest.fixture(scope="module")
def url(postgres):
    return postgres.create("round_trips")


@pytest.fixture(scope="module")
def wire(url):
    with Overheard(url) as wire:
        yield wire


@pytest.fixture(scope="module")
def engine(wire):
    engine = build_engine(wire.url, connections=2, application="test")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (what text PRIMARY KEY)"))
        metadata.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def scope(engine, wire):
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE notes, operations"))
    wire.said.clear()
    yield Scope(engine, at_once=2)
    assert engine.pool.checkedout() == 0


def a_call(seconds=None, operation_id=None):
    deadline = None if seconds is None else Deadline.after(timedelta(seconds=seconds))
    return serving(Call(request_id="r", method="demo.note", deadline=deadline, operation_id=operation_id))


def note(what):
    def work(session):
        session.execute(INSERT, {"what": what})
        return what

    return work


def refuse(session):
    session.execute(INSERT, {"what": "refused"})
    raise ThingRefused(name="x")


def ask(opened, *statements, despite=()):
    with opened as session:
        for statement in statements:
            with suppress(*despite):
                session.execute(text(statement))


def count(scope):
    with scope.reading() as session:
        return session.execute(COUNT).scalar()


def first_words(said):
    return [[part.split()[0] for part in message.split("; ")] for message in said]


def test_a_read_is_one_message(scope, wire):
    with a_call(seconds=5), scope.reading() as session:
        assert session.execute(READ, {"what": "50% of %s; and more"}).scalar() == "50% of %s; and more"

    assert first_words(wire.said[:1]) == [["SET", "SET", "SET", "SELECT", "and"]]
    assert len(wire.said) == 1


def test_a_change_is_its_statements_and_a_commit(scope, wire):
    with scope.writing() as session:
        session.execute(INSERT, {"what": "a"})
        session.execute(INSERT, {"what": "b"})

    assert first_words(wire.said) == [["BEGIN", "SET", "SET", "INSERT"], ["INSERT"], ["COMMIT"]]
    assert count(scope) == 2


def test_an_operation_is_its_claim_its_statements_its_answer_and_a_commit(scope, wire):
    with a_call(operation_id="o1"):
        assert scope.once(note("a")) == "a"

    assert first_words(wire.said) == [
        ["BEGIN", "SET", "SET", "SET", "INSERT"],
        ["SET", "SAVEPOINT", "INSERT"],
        ["UPDATE"],
        ["COMMIT"],
    ]
    with a_call(operation_id="o1"):
        assert scope.once(note("b")) == "a"
    assert count(scope) == 1


def test_what_is_put_ahead_of_a_read_holds_for_that_read_alone(scope, wire):
    show = text("SHOW enable_sort")
    with scope.reading() as session:
        put_ahead(session, "SET LOCAL enable_sort = off; ")
        seen = [session.execute(show).scalar() for _ in range(2)]

    assert seen == ["off", "on"]
    assert len(wire.said) == 2


def test_a_block_that_asks_nothing_sends_nothing(scope, wire):
    with scope.reading():
        pass
    with scope.writing():
        pass

    assert wire.said == []


def test_reading_cannot_write(scope):
    for many in ({"what": "a"}, [{"what": "a"}, {"what": "b"}]):
        with pytest.raises(InternalError, match="read-only"), scope.reading() as session:
            session.execute(INSERT, many)

    assert count(scope) == 0


def test_many_rows_may_be_what_a_transaction_begins_with(scope):
    with scope.writing() as session:
        session.execute(INSERT, [{"what": str(number)} for number in range(5)])

    assert count(scope) == 5


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_each_statement_ends_at_the_deadline(scope, how):
    started = time.monotonic()
    with pytest.raises(DeadlinePassed), a_call(seconds=0.4):
        ask(getattr(scope, how)(), "SELECT 1", "SELECT pg_sleep(10)")

    assert 0.3 < time.monotonic() - started < 8


def test_several_statements_together_end_at_the_deadline(scope, wire):
    with pytest.raises(DeadlinePassed), a_call(seconds=2):
        ask(scope.writing(), *["SELECT pg_sleep(1.5)"] * 5)

    assert len([said for said in wire.said if "pg_sleep" in said]) <= 2, "after the first is no time for another"


def test_after_the_deadline_no_statement_of_a_transaction_is_begun(scope, wire):
    def dawdle(session):
        session.execute(INSERT, {"what": "a"})
        time.sleep(0.6)
        session.execute(INSERT, {"what": "never sent"})

    with pytest.raises(DeadlinePassed), a_call(seconds=0.5):
        scope.once(dawdle)

    assert "never sent" not in str(wire.said)
    assert count(scope) == 0


def test_a_transaction_that_takes_its_time_sends_what_is_left_with_its_statements(scope, wire):
    with a_call(seconds=60), scope.writing() as session:
        session.execute(INSERT, {"what": "a"})
        session.execute(INSERT, {"what": "b"})
    with a_call(seconds=10), scope.writing() as session:
        session.execute(INSERT, {"what": "c"})
        time.sleep(1.5)
        session.execute(INSERT, {"what": "d"})

    slow = [["BEGIN", "SET", "SET", "INSERT"], ["SET", "SET", "INSERT"], ["COMMIT"]]
    assert first_words(wire.said) == [["BEGIN", "SET", "SET", "INSERT"], ["INSERT"], ["COMMIT"], *slow]


def test_what_undoes_a_fault_is_sent_alone_however_late_it_is(scope):
    def fail_slowly(session):
        session.execute(INSERT, {"what": "a"})
        with pytest.raises(IntegrityError):
            session.execute(INSERT, {"what": "a"})
        time.sleep(1.5)
        raise ThingRefused(name="x")

    for _ in range(2):
        with pytest.raises(ThingRefused), a_call(seconds=10, operation_id="o1"):
            scope.once(fail_slowly)

    assert count(scope) == 0


def test_a_limit_that_was_taken_back_with_a_savepoint_is_set_again(scope):
    show = text("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'")
    with a_call(seconds=20), scope.writing() as session:
        session.execute(text("SELECT 1"))
        time.sleep(3)
        with session.begin_nested() as nested:
            within = session.execute(show).scalar()
            nested.rollback()
        after = session.execute(show).scalar()

    assert max(within, after) <= 17_001


def test_limits_end_with_their_statement(scope, engine):
    with a_call(seconds=20), scope.reading() as session:
        session.execute(text("SELECT 1"))

    with engine.connect() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "30s"
        assert connection.execute(text("SHOW transaction_read_only")).scalar() == "off"


@pytest.mark.parametrize("operation_id", [None, "o1"])
def test_what_refused_work_has_changed_is_undone(scope, operation_id):
    for _ in range(2):
        with pytest.raises(ThingRefused), a_call(operation_id=operation_id):
            scope.once(refuse)

    assert count(scope) == 0


def test_work_within_work_is_undone_alone(scope):
    def outer(session):
        session.execute(INSERT, {"what": "outer"})
        with pytest.raises(ThingRefused):
            scope.once(refuse)
        return "done"

    with a_call():
        scope.once(outer)

    with scope.reading() as session:
        assert session.execute(text("SELECT what FROM notes")).scalars().all() == ["outer"]


def test_a_change_that_ended_in_a_fault_nobody_told_of_is_not_called_committed(scope):
    with pytest.raises(InternalError):
        ask(scope.writing(), "INSERT INTO notes VALUES ('a')", "SELECT 1/0 FROM notes", despite=[DataError])

    assert count(scope) == 0


def test_a_connection_that_was_idle_for_long_is_asked_first(engine, scope, wire):
    count(scope)
    for record in [queued for queued in engine.pool._pool.queue if queued]:
        record.info[engines._USED_AT] -= 6
    wire.said.clear()

    assert count(scope) == 0
    assert first_words(wire.said) == [["SELECT"], ["SET", "SET", "SET", "SELECT"]]


def test_after_a_restart_of_the_database_nobody_notices(scope, postgres):
    assert count(scope) == 0
    for restart in (postgres.end, postgres.kill):
        restart()
        postgres.start()
        assert count(scope) == 0


def test_who_finds_no_connection_in_time_is_told_that_nothing_happened(scope):
    all_there, leave = threading.Barrier(3), threading.Event()

    def stay():
        with scope.reading():
            all_there.wait(30)
            leave.wait(60)

    threads = [threading.Thread(target=stay) for _ in range(2)]
    for thread in threads:
        thread.start()
    all_there.wait(30)
    started = time.monotonic()
    with pytest.raises(DeadlinePassed), a_call(seconds=0.3), scope.reading():
        pass
    took = time.monotonic() - started
    with pytest.raises(Unavailable), scope.writing():
        pass
    leave.set()
    for thread in threads:
        thread.join()

    assert took < 4, "five seconds are for those without a deadline"
    assert count(scope) == 0
