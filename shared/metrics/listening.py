"""Answers ``GET /metrics`` on a port of its own, and nothing that comes over it or goes wrong in it harms the process.

It waits in threads; where eventlet has patched the world, these are greenlets.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

import structlog

from shared.metrics.rendering import CONTENT_TYPE

log = structlog.get_logger()

PATH: Final = "/metrics"
LOOPBACK: Final = "127.0.0.1"
MOST_AT_ONCE = 4
ASKING_SECONDS = 5.0
LOOK_SECONDS = 1.0
RETRY_SECONDS = 5.0

Render = Callable[[], Iterable[str]]


class Listener:
    """Listens from :meth:`start` to :meth:`stop`. A port that is taken is waited for; it may be a predecessor's."""

    def __init__(self, host: str, port: int, render: Render) -> None:
        self._address = (host, port)
        self._render = render
        self._stopping = False
        self._serving = 0
        self.port: int | None = None
        """Where it listens, once it does."""

    def start(self) -> None:
        """Begin to listen; never fails and never waits."""
        threading.Thread(target=self._run, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Take no more scrapes, within a second."""
        self._stopping = True

    def _run(self) -> None:
        told = False
        while not self._stopping:
            try:
                with socket.create_server(self._address) as listening:
                    listening.settimeout(LOOK_SECONDS)
                    self.port = listening.getsockname()[1]
                    log.info("metrics.listening", address=self._address[0], port=self.port)
                    told = False
                    self._accept_on(listening)
            except Exception as fault:  # noqa: BLE001 - metrics are advice: the process goes on without them
                self.port = None
                if not told:
                    log.warning("metrics.not_listening", reason=str(fault), port=self._address[1])
                told = True
                time.sleep(RETRY_SECONDS)

    def _accept_on(self, listening: socket.socket) -> None:
        while not self._stopping:
            try:
                connection, address = listening.accept()
            except TimeoutError:
                continue
            if self._serving >= MOST_AT_ONCE:
                connection.close()
                continue
            self._serving += 1
            threading.Thread(target=self._serve, args=(connection, address), name="scrape", daemon=True).start()

    def _serve(self, connection: socket.socket, address: Any) -> None:
        try:
            with connection:
                _Scrape(connection, address, self._render)
        except Exception as fault:  # noqa: BLE001 - whoever asked has gone, or never spoke HTTP
            log.debug("metrics.scrape_failed", reason=repr(fault))
        finally:
            self._serving -= 1


class _Scrape(BaseHTTPRequestHandler):
    """One request; the connection ends with it."""

    timeout = ASKING_SECONDS
    server_version = "kirana"
    sys_version = ""

    def __init__(self, connection: socket.socket, address: Any, render: Render) -> None:
        self._render = render
        super().__init__(connection, address, None)  # type: ignore[arg-type]  # it has no server, and asks for none

    def do_GET(self) -> None:
        """Answer."""
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            body = b"".join(_unhurried(self._render()))
        except Exception:
            log.exception("metrics.not_rendered")
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        """Say nothing: scrapes come every few seconds."""


def _unhurried(texts: Iterable[str]) -> Iterable[bytes]:
    """Let others run between two families: under eventlet they share this thread."""
    for text in texts:
        yield text.encode()
        time.sleep(0)
