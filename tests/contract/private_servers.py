"""RabbitMQ and PostgreSQL of our own for the tests that stop, start and poison them."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import amqp
import psycopg2

RABBITMQ_SCRIPTS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server")
RABBITMQ_TOOLS = ("/usr/lib/rabbitmq/bin/rabbitmqctl", "/usr/sbin/rabbitmqctl")
RABBITMQ_CONF = """\
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users.guest = true
default_vhost = kirana
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 32000000
log.console.level = warning
"""


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def eventually(condition: Callable[[], object], *, seconds: float = 30, what: str = "it") -> object:
    """Wait until the condition gives something true; fails loudly at the deadline."""
    give_up_at = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (OSError, amqp.exceptions.AMQPError, psycopg2.Error):
            found = None
        if found:
            return found
        assert time.monotonic() < give_up_at, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


class Connection(amqp.Connection):
    """Lets go of its socket even when the broker is past answering."""

    def close(self, *arguments: object, **options: object) -> None:
        try:
            super().close(*arguments, **options)
        except (OSError, amqp.exceptions.AMQPError):
            self.collect()


class Server:
    """A server process in its own process group."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path, user: str | None = None) -> None:
        self._command, self._environment, self._log, self._user = command, environment, log, user
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env={"PATH": os.environ["PATH"], **self._environment},
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                user=self._user,
                group=self._user,
            )

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is None:
            return
        os.killpg(self.process.pid, how)
        self.process.wait(40)
        self.process = None


class Rabbit(Server):
    """A broker with its own node, cookie and port mapper."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port, self.epmd_port, dist = free_port(), free_port(), free_port()
        (folder / "rabbitmq.conf").write_text(RABBITMQ_CONF.format(port=self.port))
        (folder / "plugins").write_text("[].\n")
        script = next(path for path in RABBITMQ_SCRIPTS if Path(path).exists())
        super().__init__(
            [script],
            {
                "HOME": str(folder),
                "RABBITMQ_NODENAME": f"contract{self.port}@localhost",
                "RABBITMQ_BASE": str(folder),
                "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
                "RABBITMQ_LOGS": "-",
                "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
                "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_DIST_PORT": str(dist),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
                "ERL_EPMD_PORT": str(self.epmd_port),
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                "ERL_CRASH_DUMP_SECONDS": "0",
            },
            folder / "log",
        )
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/kirana"

    def connect(self) -> amqp.Connection:
        connection = Connection(
            f"127.0.0.1:{self.port}", userid="guest", password="guest", virtual_host="kirana", connect_timeout=2
        )
        try:
            connection.connect()
        except BaseException:
            connection.collect()
            raise
        return connection

    def start(self) -> None:
        super().start()
        eventually(self._answers, seconds=60, what="RabbitMQ's start")

    def cut_all_connections(self) -> None:
        """As a network would: the messages stay, the connections go."""
        ctl = next(path for path in RABBITMQ_TOOLS if Path(path).exists())
        subprocess.run(
            [ctl, "close_all_connections", "the test says so"],
            env={"PATH": os.environ["PATH"], **self._environment},
            check=True,
            capture_output=True,
            cwd="/",
        )

    def retire(self) -> None:
        """End the node and its port mapper, which is a daemon of its own."""
        self.end()
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and self._is_our_mapper(process):
                os.kill(int(process.name), signal.SIGTERM)

    def _is_our_mapper(self, process: Path) -> bool:
        try:
            return "epmd" in (process / "comm").read_text() and (
                f"ERL_EPMD_PORT={self.epmd_port}\0" in (process / "environ").read_text()
            )
        except OSError:
            return False

    def _answers(self) -> bool:
        self.connect().close()
        return True


class Postgres(Server):
    """A database server without durability, which these tests do not ask for."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            entry = pwd.getpwnam(user)
            shutil.chown(folder, entry.pw_uid, entry.pw_gid)
            for parent in folder.parents[:3]:
                if parent.owner() == "root" and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "kirana", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            user=user,
            group=user,
            cwd="/",
        )
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories={folder}"
        super().__init__([str(programs / "postgres"), "-D", str(data), *settings.split()], {}, folder / "log", user)

    def url(self, database: str) -> str:
        return f"postgresql://kirana@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        super().start()
        eventually(self._answers, what="PostgreSQL's start")

    def create(self, database: str) -> str:
        """An empty database; gives its URL."""
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {database}")
        connection.close()
        return self.url(database)

    def _answers(self) -> bool:
        psycopg2.connect(self.url("postgres")).close()
        return True
