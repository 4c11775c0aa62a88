"""Debian's nginx with the configuration of the containers, in front of edges in processes of their own."""

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

from kirana import front_certificate
from tests.builders.servers import Server, free_port
from tests.integration.edge.life.running import one_answer

PLACE = Path(__file__).parents[3] / "docker" / "nginx"
TOO_NEW = "    keepalive_min_timeout 5s;"
PATIENCE = "proxy_read_timeout 65s;"
PROBE = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10)"


class Nginx(Server):
    """``blue`` and ``green`` are the edges it may pass requests to; ``patience`` is how long it waits for an answer."""

    name = "nginx"

    def __init__(self, blue, green=(), *, patience="65s"):
        super().__init__()
        self.patience = patience
        self.within = free_port()
        self.colours = {"TRAFFIC_BLUE": blue, "TRAFFIC_GREEN": green}

    def prepare(self):
        """The files as they are, but for places, ports and the one directive that Debian's nginx is too old for."""
        (self.home / "traffic").mkdir()
        self.spool.mkdir()
        (self.home / "probe.py").write_text(PROBE)
        for name in ("spooled.conf", "answering.conf"):
            shutil.copy(PLACE / name, self.home)
        passing = (PLACE / "passing.conf").read_text()
        assert PATIENCE in passing
        (self.home / "passing.conf").write_text(passing.replace(PATIENCE, f"proxy_read_timeout {self.patience};"))
        pair = front_certificate.ensure(self.home)
        for name, text in pair.items():
            (self.home / name).write_text(text)
        text = (PLACE / "nginx.conf").read_text()
        for said, here in (
            (" /tmp/", f" {self.home}/"),
            ("/run/secrets/tls_certificate;", f"{self.home}/{front_certificate.CERTIFICATE};"),
            ("/run/secrets/tls_key;", f"{self.home}/{front_certificate.KEY};"),
            ("/var/lib/traffic/", f"{self.home}/traffic/"),
            ("listen 8443 ", f"listen 127.0.0.1:{self.port} "),
            ("127.0.0.1:8080", f"127.0.0.1:{self.within}"),
            ("worker_processes auto", "worker_processes 2"),
            (TOO_NEW, ""),
        ):
            assert said in text, said
            text = text.replace(said, here)
        user = "user root;\n" if os.geteuid() == 0 else ""
        (self.home / "nginx.conf").write_text(user + text)

    @property
    def spool(self):
        """Where it puts lines of what it answers itself."""
        return self.home / "spool"

    @property
    def command(self):
        return ["sh", PLACE / "traffic.sh", "serve"]

    @property
    def environment(self):
        places = {name: " ".join(f"127.0.0.1:{edge.port}" for edge in edges) for name, edges in self.colours.items()}
        return places | {
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "TRAFFIC_FOLDER": str(self.home / "traffic"),
            "TRAFFIC_SPOOLED": str(PLACE / "spooled.sh"),
            "KIRANA_LOG_SPOOL": str(self.spool),
            "KIRANA_ENVIRONMENT": "front_test",
            "TRAFFIC_NGINX": f"nginx -e stderr -c {self.home}/nginx.conf",
            "TRAFFIC_PROBE": f"{sys.executable} {self.home}/probe.py",
        }

    def answers(self):
        with asyncio.Runner() as runner:
            return runner.run(self.ask("/health/live"))[0] == 200

    def traffic(self, *words, **changes):
        """Run ``traffic``; exit status and what it says."""
        done = subprocess.run(
            ["sh", PLACE / "traffic.sh", *words],
            env=self._environment | changes,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def trust(self):
        return ssl.create_default_context(cafile=self.home / front_certificate.CERTIFICATE)

    async def connect(self, *, source=None):
        local = (source, 0) if source else None
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.trust, server_hostname="localhost", local_addr=local
        )

    async def ask(self, path, *headers, method="GET", source=None, body=b""):
        """Status, headers and body of one request on a connection of its own."""
        reader, writer = await self.connect(source=source)
        try:
            lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
            writer.write("\r\n".join(lines).encode() + body)
            return await asyncio.wait_for(one_answer(reader), 30)
        finally:
            await _closed((reader, writer))

    def log(self):
        return self._log.read_text()

    def own_lines(self):
        """What it wrote into the spool, each line as the bytes that it is."""
        file = self.spool / "nginx.jsonl"
        return file.read_bytes().splitlines() if file.exists() else []


class Callers:
    """Clients that ask without pause, half of them on kept connections.

    A kept one that ends before it said a word about a request is no failure, as every client asks again elsewhere
    (RFC 9110, 9.2.2); anything else but 200 is.
    """

    def __init__(self, nginx, path="/api/products/5", number=6):
        self.nginx, self.path, self.number = nginx, path, number
        self.answered, self.failures, self._ends = Counter(), [], False

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self._call(keeps=bool(each % 2))) for each in range(self.number)]
        return self

    async def __aexit__(self, *_fault):
        self._ends = True
        await asyncio.gather(*self._tasks)

    async def _call(self, *, keeps):
        line = None
        while not self._ends:
            is_kept = line is not None
            try:
                line = line or await self.nginx.connect()
                await self._once(line)
            except (OSError, EOFError) as fault:
                if not is_kept or getattr(fault, "partial", b""):
                    self.failures.append(repr(fault))
                line = await _closed(line)
            else:
                line = line if keeps else await _closed(line)
        await _closed(line)

    async def _once(self, line):
        reader, writer = line
        writer.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        status, _headers, body = await asyncio.wait_for(one_answer(reader), 60)
        self.answered[body] += 1
        if status != 200:
            self.failures.append((status, body))

    def by(self, *edges):
        """How many answers came from these edges."""
        pids = [f"by {pid}".encode() for edge in edges for pid in edge.pids("open")]
        return sum(count for body, count in self.answered.items() if any(pid in body for pid in pids))


async def _closed(line):
    """Let go of it altogether: TLS says good-bye first, and whoever is not there cannot answer that."""
    if line is not None:
        line[1].transport.abort()
        with suppress(OSError):
            await line[1].wait_closed()
