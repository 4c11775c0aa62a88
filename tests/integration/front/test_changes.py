"""A change reaches one edge, however that one fails. Only if nobody took the connection is another edge asked.

An edge gives a change that has no key an id of its own: sent to two of them it would be two operations.
"""

import asyncio
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from kirana.stack import front
from tests.builders.servers import free_port
from tests.builders.waiting import eventually, eventually_async
from tests.integration.edge.life.running import one_answer
from tests.integration.front.test_own_answers import Alone
from tests.integration.stack.test_front import Front, workers_of

CHANGES = ["PUT", "DELETE", "POST", "PATCH", "MKCOL"]
PATH = "/api/products/%41?a=b%2fc"
BODY = b'{"expected":1}' + b" " * 40_000
"""More than nginx keeps in memory, so it is sent from a file."""


class Applying(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def apply(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = 200  # whoever watches the edges finds each well
        if self.path == PATH:
            self.server.applied.append((self.command, self.path, body))
            self.server.lines.append(self.client_address)
            status = self.server.outcome(self.command)
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


for each in ("GET", *CHANGES):
    setattr(Applying, f"do_{each}", Applying.apply)


class AnEdge(ThreadingHTTPServer):
    """Does whatever it is asked for; ``outcome`` says for each method what it answers, or ``None``: it dies over it."""

    def __init__(self, outcome, port=None):
        self.outcome, self.applied, self.lines = outcome, [], []
        self.port = port or free_port()
        super().__init__(("127.0.0.1", self.port), Applying)

    def __enter__(self):
        self._serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self._serving.start()
        return self

    def __exit__(self, *_fault):
        self.shutdown()
        self._serving.join()
        self.server_close()

    def asked(self, method):
        return [each for each in self.applied if each[0] == method]


def serves(_method):
    return 200


def dies(_method):
    return None


def reads_and_dies(method):
    return 200 if method == "GET" else None


def sent(nginx, method):
    """Status and code of the answer to one request with a body."""
    status, _, body = asyncio.run(nginx.ask(PATH, f"Content-Length: {len(BODY)}", method=method, body=BODY))
    return status, json.loads(body)["code"] if body else None


def status_of(nginx, method, path):
    return asyncio.run(nginx.ask(path, "Content-Length: 0", method=method))[0]


@pytest.fixture
def enough():
    """Set when who waits for it need wait no longer."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("fate", ["dies", "is silent"])
def test_in_containers_a_change_that_one_edge_took_is_sent_to_no_other(fate, enough):
    def silent(_method):
        enough.wait()

    fails = dies if fate == "dies" else silent
    edges = [AnEdge(fails) for _ in range(2 * len(CHANGES))]  # nobody fails so often that nginx asks it no more
    with contextlib.ExitStack() as all_:
        for edge in edges:
            all_.enter_context(edge)
        nginx = all_.enter_context(Alone(edges, patience="1s"))

        answers = {method: sent(nginx, method) for method in ["GET", *CHANGES]}
        enough.set()

        assert answers == {"GET": (503, "edge.away")} | dict.fromkeys(CHANGES, (504, "outcome.unknown"))
        asked = {method: sum(len(edge.asked(method)) for edge in edges) for method in answers}
        assert asked == {"GET": 2} | dict.fromkeys(CHANGES, 1)


def test_in_containers_an_answer_is_an_answer_whatever_it_says():
    with AnEdge(lambda _: 504) as one, AnEdge(lambda _: 504) as two, Alone([one, two]) as nginx:
        answers = {method: sent(nginx, method) for method in ["GET", *CHANGES]}

    assert answers == dict.fromkeys(answers, (504, None))
    assert sorted(each[0] for each in one.applied + two.applied) == sorted(answers)


@pytest.mark.parametrize("method", CHANGES)
def test_in_containers_a_change_that_an_edge_refused_to_take_is_done_by_another(method, enough):
    """Which has something under way, so nginx prefers the one that refuses until that has failed three times."""

    def busy(method):
        if method == "GET":
            enough.wait()
        return 200

    async def scenario(nginx, edge):
        looking = asyncio.create_task(nginx.ask(PATH))
        await eventually_async(lambda: edge.asked("GET"), what="a request under way")
        answer = await nginx.ask(PATH, f"Content-Length: {len(BODY)}", method=method, body=BODY)
        enough.set()
        await looking
        return answer[0]

    with AnEdge(busy) as edge, contextlib.ExitStack() as life:
        gone = life.enter_context(AnEdge(serves))  # it is named while it serves
        with Alone([gone, edge]) as nginx:
            life.close()
            status = asyncio.run(scenario(nginx, edge))

            assert status == 200
            assert edge.asked(method) == [(method, PATH, BODY)]
            said = f'"message":"{method} '
            line = eventually(lambda: next((each for each in nginx.log().splitlines() if said in each), None))
            assert json.loads(line)["kirana.nginx.upstream_status"].startswith("502")


@pytest.mark.parametrize("method", CHANGES)
def test_in_containers_a_change_is_sent_once_over_a_connection_that_was_kept(method):
    """That it may have been closed before is no reason to send it again: nobody knows."""

    async def scenario(nginx):
        reader, writer = await nginx.connect()
        statuses = []
        for each in ("GET", method):
            writer.write(f"{each} {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
            statuses.append((await asyncio.wait_for(one_answer(reader), 30))[0])
        writer.transport.abort()
        return statuses

    with AnEdge(reads_and_dies) as edge, Alone([edge]) as nginx:
        statuses = asyncio.run(scenario(nginx))

        assert statuses == [200, 504]
        assert [each[0] for each in edge.applied] == ["GET", method]
        assert edge.lines[0] == edge.lines[1], "no connection was kept"


def test_changes_find_no_way_to_what_is_for_operators():
    paths = ["/admin/config", "/%61dmin/config", "//metrics", "/api/../status"]
    with AnEdge(serves) as edge, Alone([edge]) as nginx:
        statuses = {(method, path): status_of(nginx, method, path) for method in CHANGES for path in paths}

    assert statuses == dict.fromkeys(statuses, 404)


@pytest.fixture
def local(tmp_path):
    """The local stack's front; all that comes is the canary's."""
    there = Front(tmp_path / "home")
    front.weigh(there.home, 100)
    there.start()
    yield there
    there.workers += workers_of(there.started[-1].pid)
    there.end()


def sent_locally(client, local, method):
    address = f"http://127.0.0.1:{local.ports['front']}{PATH}"
    return client.request(method, address, content=BODY).status_code


@pytest.fixture
def client():
    with httpx.Client(timeout=30, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("fate", [500, 502, 503, 504, None])
def test_a_change_that_the_canary_took_never_reaches_the_old_version(local, client, fate):
    with AnEdge(lambda _: fate, local.ports["canary"]) as canary, AnEdge(serves, local.ports["edge"]) as old:
        statuses = {method: sent_locally(client, local, method) for method in ["GET", *CHANGES]}

    assert statuses == {"GET": 200} | dict.fromkeys(CHANGES, fate or 504)
    assert [each[0] for each in canary.applied] == ["GET", *CHANGES]
    assert [each[0] for each in old.applied] == ["GET"]


def test_a_change_for_which_the_canary_takes_no_connection_is_done_by_the_old_version(local, client):
    with AnEdge(serves, local.ports["edge"]) as old:
        statuses = {method: sent_locally(client, local, method) for method in CHANGES}

    assert statuses == dict.fromkeys(CHANGES, 200)
    assert old.applied == [(method, PATH, BODY) for method in CHANGES]


@pytest.mark.parametrize("method", CHANGES)
def test_a_change_is_sent_once_over_a_connection_that_was_kept(local, client, method):
    front.weigh(local.home, 0)
    with AnEdge(reads_and_dies, local.ports["edge"]) as edge:
        statuses = [sent_locally(client, local, each) for each in ("GET", method)]

    assert statuses == [200, 504]
    assert [each[0] for each in edge.applied] == ["GET", method]
    assert edge.lines[0] == edge.lines[1], "no connection was kept"


@pytest.mark.parametrize("method", CHANGES)
def test_while_nobody_takes_a_connection_a_change_is_tried_a_few_times_and_answered(local, client, method):
    assert sent_locally(client, local, method) == 504
