import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import orjson
import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from kirana.stack.faults import StackFault


@contextmanager
def an_edge(status=200, answer=None):
    """An edge that answers every purge so, and remembers what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path, self.headers["authorization"], orjson.loads(body)))
            raw = orjson.dumps(answer or {"tag": "t"})
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def purge(*words):
    return CliRunner().invoke(build_app(), ["cache", "purge", *words], env={"KIRANA_TOKEN": "a.b.c"})


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("--tag", "product:42"), {"tag": "product:42"}),
        (("--path", "/api/products/42"), {"path": "/api/products/42"}),
        (("--all",), {"everything": True}),
    ],
    ids=["tag", "path", "all"],
)
def test_an_operator_says_what_is_to_go(words, body):
    with an_edge() as (url, asked):
        result = purge(*words, "--url", url)

    assert (result.exit_code, result.stdout) == (0, "Purged everywhere: t\n")
    assert asked == [("/admin/cache/purge", "Bearer a.b.c", body)]


@pytest.mark.parametrize("words", [(), ("--all", "--tag", "a")], ids=["nothing", "two"])
def test_a_purge_of_nothing_in_particular_asks_nobody(words):
    with an_edge() as (url, asked):
        assert purge(*words, "--url", url).exit_code == 2

    assert not asked


def test_what_the_edge_refuses_is_said_in_its_words():
    with an_edge(403, {"detail": "This needs the scope edge:admin."}) as (url, _):
        result = purge("--all", "--url", url)

    assert isinstance(result.exception, StackFault)
    assert "edge:admin" in str(result.exception)
