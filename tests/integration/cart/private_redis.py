"""Redis servers of the test's own: own ports, own data, gone with the test."""

import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import redis

STARTING_SECONDS = 20


class PrivateRedis:
    def __init__(self, home, port):
        self.home, self.port = home, port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process = None

    @property
    def client(self):
        return redis.Redis(port=self.port, decode_responses=True)

    def start(self):
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--dir", str(self.home), "--save", "", "--appendonly", "yes"],
            stdout=subprocess.DEVNULL,
        )
        give_up_at = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                with self.client as client:
                    client.ping()
            except redis.ConnectionError:
                assert time.monotonic() < give_up_at, "Redis did not start"
                time.sleep(0.02)
            else:
                return

    def kill(self):
        self._process.kill()
        self._process.wait(10)


@contextmanager
def running_redis():
    with tempfile.TemporaryDirectory(prefix="kirana-redis-") as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        server = PrivateRedis(Path(home), port)
        server.start()
        try:
            yield server
        finally:
            server.kill()
