"""What docs/operations.md says to type for a back-up in containers, with our own servers in Docker's place."""

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from kirana.stack.packages import postgres_programs
from kirana.stack.programs import WITH_DATABASE
from shared.persistence.migrations import migrate
from tests.builders.postgres import Postgres

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"


@pytest.fixture(scope="module")
def typed():
    """The commands below "Compose" in "Back-up and restore", each on one line."""
    below = PAGE.read_text().partition("## Back-up and restore")[2].partition("### Compose")[2]
    return below.partition("### Kubernetes")[0].replace("\\\n", " ")


class Restored(Postgres):
    """A server whose data is what the archive has."""

    def __init__(self, archive):
        super().__init__()
        self._archive = archive

    def prepare(self):
        data = self.home / "data"
        data.mkdir(mode=0o700)
        subprocess.run(["tar", "xzf", self._archive, "-C", data], check=True)
        if self.user:
            for path in (self.home, data, *data.rglob("*")):
                shutil.chown(path, self.user)
        self.run(postgres_programs() / "pg_verifybackup", data)


def inside(container, command, typed):
    """The words of that command in that container, up to where its output goes."""
    found = re.search(rf"docker compose exec -T {container} ({command}\s.*?) > \"\$to/", typed, re.DOTALL)
    return shlex.split(found[1])


def asked(url, statement):
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else cursor.rowcount


TOLD = """
INSERT INTO outbox (event_id, service, type, version, aggregate_id, sequence, request_id, data, published_at)
SELECT n::text, 'order', 'order.placed', 1, 'an order', n, 'r', '{}', now() FROM generate_series(1, 3) AS n
"""


def test_the_databases_are_whole_elsewhere_and_their_events_are_told_again(typed, tmp_path):
    archive = tmp_path / "databases.tar.gz"
    with Postgres() as shop:
        database = shop.create("kirana_order")
        migrate("rpc_services.order", database)
        asked(database, "CREATE ROLE postgres SUPERUSER LOGIN")
        asked(database, TOLD)
        place = {"PGHOST": "127.0.0.1", "PGPORT": str(shop.port), "PATH": f"{postgres_programs()}:{os.environ['PATH']}"}
        with archive.open("wb") as file:
            subprocess.run(inside("postgres", "pg_basebackup", typed), env=place, stdout=file, check=True)

    with Restored(archive) as elsewhere:
        again = re.search(r"--command '(UPDATE outbox [^']+)'", typed)[1]

        assert asked(elsewhere.url("kirana_order"), again) == 3
        assert asked(elsewhere.url("kirana_order"), "SELECT count(*) FROM outbox WHERE published_at IS NULL") == [(3,)]


def test_the_events_of_every_database_that_has_some_are_told_again(typed):
    services = re.search(r"for service in ([a-z ]+);", typed)[1].split()

    assert set(services) == set(WITH_DATABASE)


def test_the_journal_is_copied_whole_while_it_is_written(typed, tmp_path):
    journal = tmp_path / "carts.sqlite"
    program = inside("cart", "python3", typed)[-1].replace("/var/lib/kirana", str(tmp_path))
    with closing(sqlite3.connect(journal)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE carts (owner TEXT)")
        writer.executemany("INSERT INTO carts VALUES (?)", [(f"guest-{n}",) for n in range(1000)])
        writer.commit()
        writer.execute("INSERT INTO carts VALUES ('nobody yet')")

        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    (tmp_path / "elsewhere.sqlite").write_bytes(done.stdout)
    with closing(sqlite3.connect(tmp_path / "elsewhere.sqlite")) as copied:
        assert copied.execute("SELECT count(*) FROM carts").fetchone() == (1000,)
    assert not (tmp_path / "carts.copy").exists()
