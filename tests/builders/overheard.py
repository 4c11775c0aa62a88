"""A wire to PostgreSQL that is overheard: which messages a client sends, one for each time it waits for the server."""

import socket
import struct
import threading
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

from tests.builders.servers import free_port


class Overheard:
    """A context manager. ``url`` leads to the database of ``url``; ``said`` are the queries that were sent there."""

    def __init__(self, url):
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self._port))
        near = parts._replace(
            netloc=f"{parts.username}@127.0.0.1:{self._port}", query="sslmode=disable&gssencmode=disable"
        )
        self.url = urlunsplit(near)
        self.said = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_fault):
        self._listener.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._listen, args=(client, server), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client), daemon=True).start()

    def _listen(self, client, server):
        with client, server, suppress(OSError, struct.error):
            reader = client.makefile("rb")
            size = reader.read(4)
            server.sendall(size + reader.read(struct.unpack("!I", size)[0] - 4))  # the greeting has no kind
            while kind := reader.read(1):
                size = reader.read(4)
                body = reader.read(struct.unpack("!I", size)[0] - 4)
                if kind == b"Q":
                    self.said.append(body.rstrip(b"\0").decode())
                server.sendall(kind + size + body)

    def _carry(self, server, client):
        with suppress(OSError):
            while heard := server.recv(65536):
                client.sendall(heard)
            client.shutdown(socket.SHUT_RDWR)
