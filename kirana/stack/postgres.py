"""Runs a private PostgreSQL with a database and a role for each service."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg2
from psycopg2 import sql

from kirana.stack.faults import ServerFailed
from kirana.stack.home import Home
from kirana.stack.packages import postgres_programs
from kirana.stack.programs import WITH_DATABASE, Program, fingerprint

SUPERUSER = "kirana"
RUN_AS = "postgres"

_CONFIGURATION = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 300
shared_buffers = 256MB
fsync = on
full_page_writes = on
synchronous_commit = on
max_wal_size = 2GB
random_page_cost = 1.1
jit = off
password_encryption = 'scram-sha-256'
idle_in_transaction_session_timeout = 60s
tcp_keepalives_idle = 5
tcp_keepalives_interval = 2
tcp_keepalives_count = 3
log_min_duration_statement = 1000
log_line_prefix = '%m [%p] %q%u@%d '
timezone = 'UTC'
"""
_ACCESS = """\
host all all 127.0.0.1/32 scram-sha-256
host replication kirana 127.0.0.1/32 scram-sha-256
"""


def data_folder(home: Home) -> Path:
    """Where the cluster lies."""
    return data_folder_of(home.root)


def data_folder_of(root: Path) -> Path:
    """The same, of the home in the folder ``root``."""
    return root / "postgres"


def create_cluster(home: Home, passwords: Mapping[str, str]) -> None:
    """Make the cluster, once. An interrupted attempt leaves nothing in the way. Raises :class:`ServerFailed`."""
    data = data_folder(home)
    if data.exists():
        return
    draft = home.root / "postgres.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    secret = draft / "password"
    secret.touch(mode=0o600)
    secret.write_text(passwords["postgres"], encoding="ascii")
    _own(draft)
    _own(secret)
    made = draft / "data"
    command = [
        *as_its_user(home),
        f"{_programs(home)}/initdb",
        f"--pgdata={made}",
        f"--username={SUPERUSER}",
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-instructions",
    ]
    done = subprocess.run(command, env=home.environment(), cwd=draft, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = tuple((done.stdout + done.stderr).splitlines()[-20:])
        raise ServerFailed("PostgreSQL could not make its data folder.", log=lines, mend="kirana doctor")
    made.replace(data)
    shutil.rmtree(draft)


def program(home: Home, port: int) -> Program:
    """The server, configured in its own data folder."""
    data = data_folder(home)
    files = (data / "kirana.conf", data / "pg_hba.conf")
    for path, text in zip(files, (_CONFIGURATION.format(port=port), _ACCESS), strict=True):
        path.write_text(text, encoding="utf-8")
        _own(path)
    command = (*as_its_user(home), f"{_programs(home)}/postgres", "-D", str(data), "-c", f"config_file={files[0]}")
    return Program("postgres", command, fingerprint(*files), stop_signal="INT", stop_group=False)


def _programs(home: Home) -> Path:
    found = postgres_programs(data_folder(home))
    if found is None:
        raise ServerFailed(
            "The data folder was made by another version of PostgreSQL than the one that is installed.",
            mend="kirana reset",
        )
    return found


def as_its_user(home: Home) -> list[str]:
    """What to put before a command of PostgreSQL, which refuses to run as root.

    Its user may be unable to pass through the folders above the home (such as ``/root``); then it gets the one
    capability that lets it. Raises :class:`ServerFailed` when that cannot be given.
    """
    if os.geteuid() != 0:
        return []
    plain = ["setpriv", f"--reuid={RUN_AS}", f"--regid={RUN_AS}", "--init-groups"]
    ways = [
        plain,
        *([*plain, f"--inh-caps=+{name}", f"--ambient-caps=+{name}"] for name in ("dac_read_search", "dac_override")),
    ]
    for way in ways:
        entered = subprocess.run([*way, "stat", f"{home.root}/."], capture_output=True, check=False)
        if entered.returncode == 0:
            return way
    raise ServerFailed(
        f"The user {RUN_AS}, as whom PostgreSQL has to run, cannot enter {home.root}.",
        mend="set KIRANA_HOME to a folder that every user may pass through",
    )


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam(RUN_AS)
        os.chown(path, user.pw_uid, user.pw_gid)


def give_to_server(folder: Path) -> None:
    """Let the server's own user have a data folder that was copied here, and nobody else."""
    folder.chmod(0o700)
    for path in (folder, *folder.rglob("*")):
        _own(path)


def dsn(user: str, password: str, port: int, database: str) -> str:
    """A database as ``user`` reaches it."""
    return f"postgresql://{user}:{password}@127.0.0.1:{port}/{database}"


def create_databases(administration: str, passwords: Mapping[str, str]) -> None:
    """A role and a database for each service that has none yet; nobody else may connect to it."""
    connection = psycopg2.connect(administration, connect_timeout=5)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for service in WITH_DATABASE:
                _create_database(cursor, service, passwords[f"database.{service}"])
    finally:
        connection.close()
    connection = psycopg2.connect(administration.rpartition("/")[0] + "/kirana_catalog", connect_timeout=5)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    finally:
        connection.close()


def _create_database(cursor: psycopg2.extensions.cursor, service: str, password: str) -> None:
    role, database = sql.Identifier(service), sql.Identifier(f"kirana_{service}")
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [service])
    verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
    cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password)))
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [f"kirana_{service}"])
    if not cursor.fetchone():
        cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
    cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(database))
