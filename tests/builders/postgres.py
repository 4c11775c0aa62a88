"""A PostgreSQL of the test's own: own data, own port, gone with the test."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

BIN = Path("/usr/lib/postgresql/15/bin")
STARTING_SECONDS = 30


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _as_postgres():
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@contextmanager
def running_postgres():
    """Gives a function from a database's name to its URL, which also creates the database."""
    home = Path(tempfile.mkdtemp(prefix="kirana-postgres-"))
    identity = _as_postgres()
    if identity:
        shutil.chown(home, identity["user"], identity["group"])
    port, data = _free_port(), home / "data"
    options = {**identity, "cwd": home, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [BIN / "initdb", "-D", data, "-U", "kirana", "-A", "trust", "--no-sync", "-E", "UTF8"], check=True, **options
    )
    command = [BIN / "postgres", "-D", data, "-p", str(port), "-k", str(home), "-c", "listen_addresses=127.0.0.1"]
    server = subprocess.Popen([*command, "-c", "fsync=off", "-c", "max_connections=60"], **options)
    try:
        _wait_for(port)

        def create(name):
            subprocess.run(
                [BIN / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "kirana", name], check=True, **options
            )
            return f"postgresql://kirana@127.0.0.1:{port}/{name}"

        yield create
    finally:
        server.terminate()
        server.wait(timeout=STARTING_SECONDS)
        shutil.rmtree(home, ignore_errors=True)


def _wait_for(port):
    give_up_at = time.monotonic() + STARTING_SECONDS
    ready = [BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, check=False).returncode != 0:
        assert time.monotonic() < give_up_at, "PostgreSQL did not start"
        time.sleep(0.05)
