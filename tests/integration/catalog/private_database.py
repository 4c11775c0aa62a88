"""A PostgreSQL of the tests' own, on a free port, with the catalog's schema as its migrations make it."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2

from shared.persistence.migrations import migrate

BINARIES = Path("/usr/lib/postgresql/15/bin")
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=120", "shared_buffers=128MB")


class PrivateDatabase:
    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="catalog-postgres-", dir="/tmp"))
        self.user = "postgres" if os.geteuid() == 0 else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self):
        return f"postgresql+psycopg2://kirana@127.0.0.1:{self.port}/postgres"

    def start(self):
        if self.user:
            owner = pwd.getpwnam(self.user)
            os.chown(self.home, owner.pw_uid, owner.pw_gid)
        data = self.home / "data"
        self._run("initdb", "-D", data, "-U", "kirana", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        settings = [part for setting in FAST for part in ("-c", setting)]
        where = ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.home)]
        with (self.home / "log").open("w") as log:
            self.process = subprocess.Popen(
                [BINARIES / "postgres", "-D", data, *where, *settings],
                user=self.user,
                cwd=self.home,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def migrate(self):
        migrate("rpc_services.catalog", self.url)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, program, *arguments):
        subprocess.run(
            [BINARIES / program, *arguments], user=self.user, cwd=self.home, check=True, stdout=subprocess.DEVNULL
        )

    def _wait(self):
        give_up_at = time.monotonic() + 30
        while True:
            try:
                psycopg2.connect(self.url.replace("+psycopg2", "")).close()
            except psycopg2.OperationalError:
                assert time.monotonic() < give_up_at, (self.home / "log").read_text()
                time.sleep(0.05)
            else:
                return
