"""Edges in processes of their own, and a client that gives up on nothing that it may try again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from edge.protocol import LEAVING_SECONDS
from tests.builders.servers import free_port
from tests.builders.waiting import eventually
from tests.builders.whole_lines import whole_lines

PROGRAM = Path(__file__).with_name("an_edge.py")
ROOT = Path(__file__).parents[4]


class AnEdge:
    """A context manager: the edge runs inside, and can be started again on the same port."""

    def __init__(self, *, sanic=None, leaving_seconds=LEAVING_SECONDS, **settings):
        self.port = free_port()
        self._home = tempfile.TemporaryDirectory(prefix="kirana-edge-")
        self.home = Path(self._home.name)
        options = {"port": self.port, "drain_seconds": 0.5} | settings
        self._options = {"logs": str(self.home), "settings": options, "sanic": sanic or {}}
        self._options["leaving_seconds"] = leaving_seconds
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_fault):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._home.cleanup()

    def start(self):
        """Returns when every worker serves."""
        environment = os.environ | {"AN_EDGE": json.dumps(self._options), "PYTHONPATH": str(ROOT)}
        already = len(self.pids("serving"))
        with (self.home / "words").open("ab") as words:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(PROGRAM)],
                stdout=words,
                stderr=words,
                env=environment,
                start_new_session=True,
            )
        wanted = already + self._options["settings"].get("workers", 1)
        eventually(lambda: len(self.pids("serving")) >= wanted, what=f"the start of an edge: {self.words()}")
        eventually(lambda: answers(self.port), what="an answer", despite=(OSError,))

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def terminate_all(self):
        """As some supervisors do: workers hear it from here, and from their main process once more."""
        self.terminate()
        for pid in self.pids("open"):
            os.kill(pid, signal.SIGTERM)

    def ended(self, within=60):
        """Its exit status, once it has ended."""
        return self.process.wait(within)

    def words(self):
        path = self.home / "words"
        return path.read_text() if path.exists() else ""

    def pids(self, word):
        """Who has said ``word``, in order."""
        return [int(line.split()[1]) for line in self.words().splitlines() if line.startswith(f"{word} ")]

    def logged(self):
        return [json.loads(line) for line in whole_lines(self.home)]

    def complaints(self):
        """What was logged as a warning or worse, and whatever went to the terminal unasked."""
        bad = [line for line in self.logged() if line["log"]["level"] not in {"debug", "info"}]
        return bad + [line for line in self.words().splitlines() if line.startswith(("Traceback", "  File"))]


def answers(port):
    return b" 200 " in asyncio.run(alone(port, "/health/live"))


async def alone(port, path, *headers):
    """One request on a connection of its own; everything that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(path, "Connection: close", *headers))
    try:
        return await reader.read()
    finally:
        writer.close()


def request(path, *headers):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: shop", *headers, "", ""]).encode()


async def one_answer(reader):
    """Status, headers and body of the next answer on this connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(lines[0].split()[1]), headers, body


class Crowd:
    """Clients that ask without pause, as any decent one does: on one connection as long as it lasts, and elsewhere

    when a new one is refused or closed before it said a word. Whatever else goes wrong is a failure.
    """

    def __init__(self, ports, path="/api/products/5"):
        self._ports = ports
        self._path = path
        self.answered = Counter()
        self.seconds = []
        self.failures = []
        self._ends = False

    async def __aenter__(self):
        self._clients = [asyncio.create_task(self._client(number)) for number in range(8)]
        return self

    async def __aexit__(self, *_fault):
        self._ends = True
        await asyncio.gather(*self._clients)

    async def _client(self, number):
        line = None
        while not self._ends:
            began = time.monotonic()
            try:
                line = await self._ask(line, number)
            except (OSError, EOFError, ValueError) as fault:
                self.failures.append((began, time.monotonic(), repr(fault)))
                line = None
        if line is not None:
            line[1].close()

    async def _ask(self, line, number):
        """The connection, if it can be used again."""
        if line is not None:
            if not line[0].at_eof():
                return await self._through(line)
            line[1].close()
        for attempt in range(500):
            port = self._ports[(number + attempt) % len(self._ports)]
            try:
                return await self._through(await asyncio.open_connection("127.0.0.1", port))
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            except (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError) as fault:
                if getattr(fault, "partial", b""):
                    raise
        raise OSError("nobody takes a connection")

    async def _through(self, line):
        reader, writer = line
        began = time.monotonic()
        is_kept = False
        try:
            writer.write(request(self._path))
            status, headers, body = await one_answer(reader)
            if status != 200:
                raise ValueError(status, body)
            self.seconds.append(time.monotonic() - began)
            self.answered[json.loads(body).get("name")] += 1
            is_kept = headers["connection"] == "keep-alive"
            return line if is_kept else None
        finally:
            if not is_kept:
                writer.close()
