"""A RabbitMQ of the test's own: own node, own ports, own epmd, own data, and faults on request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

BIN = Path("/usr/lib/rabbitmq/bin")
STARTING_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds, seconds: float, what: str) -> float:
    """Seconds it took for ``holds()`` to become true."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - began


class PrivateBroker:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self._epmd = free_port()
        self._distribution = free_port()
        self._node = f"edge-test-{self.port}@localhost"
        self._server: subprocess.Popen[bytes] | None = None
        (home / "enabled_plugins").write_text("[].\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def url_of(self, user: str, password: str) -> str:
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        with (self.home / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [BIN / "rabbitmq-server"], env=self._environment(), stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> float:
        return wait_until(self.is_up, STARTING_SECONDS, "RabbitMQ starts")

    def is_up(self) -> bool:
        """Whether it speaks AMQP, not merely listens."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as probe:
                probe.settimeout(0.5)
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return probe.recv(1) == b"\x01"
        except OSError:
            return False

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._server:
            self._server.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def ctl(self, *words: str) -> str:
        done = subprocess.run(
            [BIN / "rabbitmqctl", "-q", *words], env=self._environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        self.resume()
        self.kill()
        wait_until(self._end_epmd, 10, "epmd ends")

    def _end_epmd(self) -> bool:
        """It refuses for as long as it believes that a node lives."""
        done = subprocess.run(["epmd", "-port", str(self._epmd), "-kill"], capture_output=True, text=True, check=False)
        return "Killed" in done.stdout or "Cannot connect" in done.stdout + done.stderr

    def _signal(self, number: int) -> None:
        if self._server and self._server.poll() is None:
            os.killpg(self._server.pid, number)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.home),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self.home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
