"""A connection that breaks when all is decided changes nothing about what was decided."""

from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import text

from shared.contracts.refusals import StillRunning, Unavailable
from shared.messaging.transactions import Scope
from shared.persistence.engine import build_engine


@pytest.fixture(scope="module")
def url(postgres):
    return postgres.create("transactions")


@pytest.fixture
def scope(url):
    engine = build_engine(url, connections=1, application="test")
    yield Scope(engine)
    assert engine.pool.checkedout() == 0
    engine.dispose()


def cut(url, session):
    """Have the server end the session's connection, as one that dies does."""
    pid = session.execute(text("SELECT pg_backend_pid()")).scalar()
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def read_and_break(scope, url):
    with scope.reading() as session:
        found = session.execute(text("SELECT 42")).scalar()
        cut(url, session)
        return found


def refuse_and_break(opened, url):
    with opened as session:
        cut(url, session)
        raise StillRunning(retry_after=1)


def write_and_break(scope, url):
    with scope.writing() as session:
        session.execute(text("CREATE TABLE never (id int)"))
        cut(url, session)
        session.execute(text("SELECT 1"))


def test_what_was_read_before_the_connection_broke_is_the_answer(scope, url):
    assert [read_and_break(scope, url) for _ in range(10)] == [42] * 10


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_a_refusal_stays_what_it_is_though_the_connection_breaks(scope, url, how):
    with pytest.raises(StillRunning):
        refuse_and_break(getattr(scope, how)(), url)


def test_a_change_whose_connection_breaks_before_it_is_committed_did_not_happen(scope, url):
    with pytest.raises(Unavailable):
        write_and_break(scope, url)

    with scope.reading() as session:
        assert session.execute(text("SELECT to_regclass('never')")).scalar() is None
