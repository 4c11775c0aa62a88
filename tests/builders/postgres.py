"""A PostgreSQL of the tests' own, without the durability they do not ask for."""

import itertools
import os
import shutil
import signal
from contextlib import closing, contextmanager, suppress

import psutil
import psycopg2

from kirana.stack.packages import postgres_programs
from kirana.stack.postgres import RUN_AS
from shared.persistence.engine import build_engine
from shared.persistence.migrations import migrate
from tests.builders.servers import ENDING_SECONDS, Server

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "shared_buffers=128MB")

_numbers = itertools.count()


class Postgres(Server):
    name = "postgres"
    farewell = signal.SIGINT  # by SIGTERM it waits for its clients
    user = RUN_AS if os.geteuid() == 0 else None
    not_yet = (psycopg2.OperationalError,)

    @property
    def command(self):
        where = ["-D", self.home / "data", "-p", str(self.port), "-h", "127.0.0.1", "-k", self.home]
        return [postgres_programs() / "postgres", *where, *(part for setting in FAST for part in ("-c", setting))]

    def prepare(self):
        if self.user:
            shutil.chown(self.home, self.user)
        options = ["-U", "kirana", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        self.run(postgres_programs() / "initdb", "-D", self.home / "data", *options)

    def end(self, how=None):
        """With its children, each in a process group of its own: while one lives, the next server cannot start."""
        children = []
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True) if self.process else []
        super().end(how)
        _, alive = psutil.wait_procs(children, timeout=ENDING_SECONDS)
        assert not alive, alive

    def answers(self):
        psycopg2.connect(self.url("postgres")).close()
        return True

    def url(self, database):
        return f"postgresql://kirana@127.0.0.1:{self.port}/{database}"

    def create(self, database):
        """An empty database; gives its URL."""
        with closing(psycopg2.connect(self.url("postgres"))) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"CREATE DATABASE {database}")
        return self.url(database)


@contextmanager
def an_engine_of(service, postgres, *, connections=20):
    """A new database of ``service`` as its migrations make it, and an engine like its own."""
    url = postgres.create(f"kirana_{service}_{next(_numbers)}")
    migrate(f"rpc_services.{service}", url)
    engine = build_engine(url, connections=connections, application="test")
    yield engine
    engine.dispose()
