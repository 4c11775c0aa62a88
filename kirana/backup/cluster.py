"""All databases of the cluster at one instant, so that no order is in one of them and its goods in none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from kirana.backup.manifest import Damaged
from kirana.stack import postgres
from kirana.stack.faults import ServerFailed, ServersMissing
from kirana.stack.packages import postgres_programs
from kirana.stack.passwords import passwords
from kirana.stack.programs import WITH_DATABASE
from kirana.stack.state import StackState

LOG_LINES = 20


def copy(stack: StackState, into: Path) -> None:
    """Take a base backup with the log that makes it consistent. Raises :class:`ServerFailed`; disturbs nobody."""
    at = urlsplit(stack.postgres["order"])
    command = [
        f"{_programs(postgres.data_folder_of(stack.home))}/pg_basebackup",
        *("--host", str(at.hostname), "--port", str(at.port), "--username", postgres.SUPERUSER, "--no-password"),
        *("--pgdata", str(into), "--wal-method", "stream", "--checkpoint", "fast"),
    ]
    secret = {"PGPASSWORD": passwords(stack.home)["postgres"], "PATH": os.environ.get("PATH", "")}
    _run(command, secret, "The databases could not be copied.")


def check(folder: Path, version: int) -> None:
    """Whether the copy is whole, by its own manifest. Raises :class:`Damaged`, or that the version is not here."""
    programs = postgres_programs(folder)
    if programs is None:
        raise ServersMissing(
            f"The back-up needs PostgreSQL {version}, which is not installed.",
            mend=f"apt-get install postgresql-{version}",
        )
    done = subprocess.run(
        [f"{programs}/pg_verifybackup", "--quiet", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Damaged("The copy of the databases is damaged.", log=tuple(done.stderr.splitlines()[-LOG_LINES:]))


def tell_again(stack: StackState) -> int:
    """Have every event that is still known published once more; gives how many.

    What was on its way when the copy was taken is in no queue here. Who has handled an event knows it by its id for
    seven days, and events are kept for one.
    """
    told = 0
    for service in WITH_DATABASE:
        connection = psycopg2.connect(stack.postgres[service])
        with connection, connection.cursor() as cursor:
            cursor.execute("UPDATE outbox SET published_at = NULL WHERE published_at IS NOT NULL")
            told += cursor.rowcount
        connection.close()
    return told


def _programs(data: Path) -> Path:
    found = postgres_programs(data)
    if found is None:
        raise ServersMissing("PostgreSQL's programs are not installed.", mend="kirana install")
    return found


def _run(command: list[str], environment: dict[str, str], complaint: str) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerFailed(complaint, log=tuple(done.stderr.splitlines()[-LOG_LINES:]), mend="kirana status")
