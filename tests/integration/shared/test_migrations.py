"""A migration never makes the shop wait longer than a moment, however long it has to wait itself."""

import threading
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest
from sqlalchemy.exc import OperationalError

from shared.persistence import migrations
from shared.persistence.migrations import migrate
from tests.builders.waiting import eventually

ORDER = "rpc_services.order"
NEXT = "0002"
"""It changes a table that is in use."""


@pytest.fixture
def database(postgres, request):
    url = postgres.create(f"migrated_{request.function.__name__[:40]}")
    migrate(ORDER, url, revision="0001")
    return url


@pytest.fixture
def in_use(database, monkeypatch):
    """Somebody reads the orders, and goes on."""
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 1)
    with closing(psycopg2.connect(database)) as reader:
        reader.cursor().execute("SELECT count(*) FROM orders")
        yield reader


def revision(url):
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version_num FROM alembic_version")
        return cursor.fetchone()[0]


def waits_for_a_lock(url):
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return cursor.fetchone()[0] > 0


def test_it_waits_for_a_table_in_use_a_moment_at_a_time_and_is_made_in_the_end(database, in_use):
    done = threading.Thread(target=migrate, args=(ORDER, database), kwargs={"revision": NEXT})
    done.start()
    eventually(lambda: waits_for_a_lock(database), within=30)
    eventually(lambda: not waits_for_a_lock(database), within=30, what="a pause in which others get their turn")
    assert revision(database) == "0001"

    in_use.rollback()

    done.join(60)
    assert revision(database) == NEXT


def test_it_gives_up_when_the_patience_is_over_and_has_changed_nothing(database, in_use):
    with pytest.raises(OperationalError, match="lock timeout"):
        migrate(ORDER, database, revision=NEXT, patience=timedelta(seconds=0.1))

    assert revision(database) == "0001"
    in_use.rollback()
    migrate(ORDER, database, revision=NEXT)
    assert revision(database) == NEXT


def test_a_database_of_a_newer_version_is_left_as_it_is(database):
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    migrate(ORDER, database)

    assert revision(database) == "9999"
