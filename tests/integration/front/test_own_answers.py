"""What nginx answers itself: a problem document as an edge's, and a line in the spool by which its id is found."""

import asyncio
import contextlib
import json
import re
import socket
import threading

import pytest
from typer.testing import CliRunner

from edge.problems import PROBLEMS
from kirana.cli import build_app
from shipper.records import record_of
from tests.builders import mapping
from tests.builders.servers import free_port
from tests.builders.waiting import eventually
from tests.integration.edge.life.running import AnEdge, one_answer
from tests.integration.front.nginx import Nginx

TOO_LARGE = 2 * 2**20 + 1
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}")


class AnUpstream:
    """No edge: it listens and does with each connection what ``serve`` says; without it nobody listens."""

    def __init__(self, serve=None):
        self.port = free_port()
        self._serve = serve
        self._kept = []

    def __enter__(self):
        if self._serve is not None:
            self._socket = socket.create_server(("127.0.0.1", self.port), backlog=64)
            threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_fault):
        if self._serve is not None:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        for line in self._kept:
            line.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                line = self._socket.accept()[0]
                self._kept.append(line)
                self._serve(line)


def hang(line):
    """It takes the request, and is never heard of again."""


def break_off(line):
    """It dies over the request."""
    line.recv(65_536)
    line.close()


class Alone(Nginx):
    """It has no edge. A bare connection would tell nothing, as `nginx -t`, before it, listens for a moment, too."""

    not_yet = (OSError, EOFError)

    def answers(self):
        return run(self.ask("/metrics"))[0] == 404


@pytest.fixture(scope="module")
def edge():
    with AnEdge(trusted_proxies=["127.0.0.1/32"]) as one:
        yield one


@pytest.fixture(scope="module")
def before_an_edge(edge):
    with Nginx([edge]) as server:
        yield server


@pytest.fixture(scope="module")
def before_nobody():
    with AnUpstream() as nobody, Alone([nobody]) as server:
        yield server


def run(scenario):
    return asyncio.run(scenario)


def line_of(nginx, request):
    """The one line of this request, once it is written: nginx does so after it has answered."""
    (line,) = eventually(lambda: [line for line in nginx.own_lines() if request.encode() in line], what="its line")
    return line


def kirana_logs(*arguments):
    return CliRunner().invoke(build_app(), ["logs", *map(str, arguments)])


def test_where_no_edge_is_left_the_id_of_the_answer_finds_the_reason(before_nobody):
    status, headers, body = run(before_nobody.ask("/api/products/3?page=private"))
    problem = json.loads(body)

    assert (status, headers["content-type"], headers["retry-after"]) == (503, "application/problem+json", "1")
    assert headers["cache-control"] == "no-store"
    assert problem["request_id"] == headers["x-request-id"]
    assert UUID.fullmatch(problem["request_id"])
    assert (problem["code"], problem["status"], problem["instance"]) == ("edge.away", 503, "/api/products/3")
    line_of(before_nobody, problem["request_id"])

    done = kirana_logs("--spool", before_nobody.spool, problem["request_id"])

    first = done.stdout.splitlines()
    assert done.exit_code == 0, done.output
    assert "failed  503 edge.away  GET /api/products/3" in first[0]
    assert "no edge took the connection: " in first[1]
    assert "(502" in first[1]
    assert first[2].endswith("nginx")
    assert "private" not in done.stdout


def test_a_change_that_may_have_happened_is_told_as_such(before_nobody):
    status, headers, body = run(before_nobody.ask("/api/orders", "X-Request-Id: a-change", method="POST"))
    problem = json.loads(body)

    assert (status, problem["code"], problem["request_id"]) == (504, "outcome.unknown", "a-change")
    assert "retry-after" not in headers
    assert "504 outcome.unknown" in kirana_logs("--spool", before_nobody.spool, "a-change").stdout


def test_a_body_that_is_too_large_for_nginx_is_refused_in_the_edges_words(before_an_edge):
    status, headers, body = run(
        before_an_edge.ask("/api/orders", f"Content-Length: {TOO_LARGE}", "X-Request-Id: too-large", method="POST")
    )
    problem = json.loads(body)

    assert (status, headers["x-request-id"]) == (413, "too-large")
    assert (problem["code"], problem["request_id"]) == ("request.too_large", "too-large")
    assert headers["strict-transport-security"]
    line_of(before_an_edge, "too-large")
    told = kirana_logs("--spool", before_an_edge.spool, "too-large").stdout
    assert "refused  413 request.too_large  POST /api/orders" in told
    assert "client_max_body_size" in told


def test_documents_have_the_members_and_the_words_of_the_edges_own(before_an_edge, before_nobody):
    asked = [
        before_an_edge.ask("/metrics"),
        before_an_edge.ask("/api/products", method="TRACE"),
        before_an_edge.ask("/api/orders", f"Content-Length: {TOO_LARGE}", method="POST"),
        before_nobody.ask("/api/orders", method="POST"),
    ]
    documents = [json.loads(run(each)[2]) for each in asked]
    edges_own = json.loads(run(before_an_edge.ask("/api/nothing"))[2])

    for document in documents:
        known = PROBLEMS[document["code"]]
        assert document.keys() == edges_own.keys()
        told = (document["status"], document["title"], document["retryable"], document["type"])
        assert told == (known.status, known.title, known.retryable, f"/problems/{known.slug}")
    assert [document["status"] for document in documents] == [404, 405, 413, 504]


def test_what_an_edge_answers_leaves_no_line_of_nginx_and_its_id_once_in_the_head(before_an_edge):
    found = run(before_an_edge.ask("/api/products/3", "X-Request-Id: by-an-edge"))
    missing = run(before_an_edge.ask("/api/nothing", "X-Request-Id: by-an-edge"))
    run(before_an_edge.ask("/metrics", "X-Request-Id: the-last"))

    line_of(before_an_edge, "the-last")
    assert (found[0], missing[0]) == (200, 404)
    assert found[1]["x-request-id"] == missing[1]["x-request-id"] == "by-an-edge"
    assert b"by-an-edge" not in b"".join(before_an_edge.own_lines())


@pytest.mark.parametrize(
    ("serve", "patience", "reason"),
    [
        (hang, "1s", "the edge did not answer in time: "),
        (break_off, "65s", "the edge broke off before it had answered: "),
    ],
    ids=["silent", "dying"],
)
def test_the_reason_says_in_which_way_an_edge_failed(serve, patience, reason):
    with AnUpstream(serve) as upstream, Alone([upstream], patience=patience) as nginx:
        status, _, _ = run(nginx.ask("/api/products", "X-Request-Id: no-answer"))
        line = json.loads(line_of(nginx, "no-answer"))

    assert status == 503
    assert line["labels"]["reason"].startswith(reason), line
    assert f"127.0.0.1:{upstream.port}" in line["labels"]["reason"]
    assert line["event"]["duration"] >= (1e9 if serve is hang else 0)


def test_a_client_that_went_away_is_found_as_well():
    async def leave(nginx):
        _, writer = await nginx.connect()
        writer.write(b"GET /api/products HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: impatient\r\n\r\n")
        await asyncio.to_thread(eventually, lambda: any(b"impatient" in each for each in taken), what="it at the edge")
        writer.transport.abort()

    taken = []
    with AnUpstream(lambda line: taken.append(line.recv(65_536))) as upstream, Alone([upstream]) as nginx:
        run(leave(nginx))
        line = json.loads(line_of(nginx, "impatient"))

    assert line["http"]["response"]["status_code"] == 499
    assert "went away" in line["labels"]["reason"]


@pytest.mark.parametrize(
    "path", [b"/%ff", b"/\xff\xfe", b'/"quoted"\\', b"/%22%0a", b"/a{b}$uri"], ids=["%ff", "bytes", "quotes", "%", "$"]
)
def test_whatever_a_path_holds_line_and_document_can_be_read(before_nobody, path):
    async def scenario():
        reader, writer = await before_nobody.connect()
        writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\nX-Request-Id: %b\r\n\r\n" % (path, path.hex().encode()))
        try:
            return await asyncio.wait_for(one_answer(reader), 30)
        finally:
            writer.transport.abort()

    _, headers, body = run(scenario())

    assert json.loads(body)["request_id"] == headers["x-request-id"]
    line = line_of(before_nobody, headers["x-request-id"])
    assert json.loads(line.decode())["url"]["path"].isascii()


def test_a_line_is_one_that_the_shipper_and_the_templates_take(before_nobody):
    run(before_nobody.ask("/api/products", "X-Request-Id: shipped"))
    line = line_of(before_nobody, "shipped")

    record = record_of(line, "at-1")

    assert record.stream == "logs-kirana.nginx-front_test"
    said = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", said["@timestamp"])
    assert (said["log"]["level"], said["event"]["outcome"]) == ("warning", "failure")
    fields = mapping.fields_of(said)
    assert not [name for name, _ in fields if not name.startswith("labels.") and name not in mapping.named_fields()]


def test_garbage_gets_an_id_too(before_an_edge):
    async def scenario():
        reader, writer = await before_an_edge.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: x\r\n\r\n")
        try:
            return await asyncio.wait_for(one_answer(reader), 30)
        finally:
            writer.transport.abort()

    status, headers, _ = run(scenario())

    assert status == 400
    assert b'"status_code":400' in line_of(before_an_edge, headers["x-request-id"])


def test_a_spool_that_cannot_be_written_to_stops_no_request(edge):
    with Nginx([edge]) as nginx:
        nginx.spool.rmdir()
        nginx.spool.write_text("no folder")

        assert run(nginx.ask("/api/products/3"))[0] == 200
        assert run(nginx.ask("/metrics"))[0] == 404
