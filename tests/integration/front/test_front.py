"""nginx in front of edges: what it lets through, what it says of whom, and which edges it asks."""

import asyncio
import json
import socket
import ssl
import subprocess

import pytest

from tests.builders.operators import FOR_OPERATORS, OPEN_AT_NGINX
from tests.builders.waiting import eventually, eventually_async
from tests.integration.edge.life.running import AnEdge
from tests.integration.front.nginx import Callers, Nginx

PROXIES = {"trusted_proxies": ["127.0.0.1/32"], "denied": ["203.0.113.0/24", "127.0.0.66/32"]}
H2 = """
const http2 = require("node:http2"), fs = require("node:fs");
const client = http2.connect("https://localhost:" + process.argv[1], {ca: fs.readFileSync(process.argv[2])});
const request = client.request({":path": "/api/products/7"});
let status, body = "";
request.on("response", (headers) => { status = headers[":status"]; });
request.on("data", (part) => { body += part; });
request.on("end", () => {
  console.log(JSON.stringify([client.alpnProtocol, status, JSON.parse(body).id]));
  client.close();
});
"""


@pytest.fixture(scope="module")
def edges():
    with AnEdge(**PROXIES) as one, AnEdge(**PROXIES) as two, AnEdge(**PROXIES) as green:
        yield [one, two], [green]


@pytest.fixture(scope="module")
def nginx(edges):
    with Nginx(*edges) as server:
        yield server


def run(scenario):
    return asyncio.run(scenario)


def test_requests_travel_by_http_2_over_tls_to_an_edge(nginx):
    said = subprocess.run(
        ["node", "-e", H2, str(nginx.port), nginx.home / "tls_certificate.pem"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == ["h2", 200, 7]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_are_not_spoken(nginx):
    old = nginx.trust
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    with socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as line, pytest.raises(ssl.SSLError):
        old.wrap_socket(line, server_hostname="localhost")


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "/admin",
        "/admin/routes",
        "/ADMIN/routes",
        "//admin//routes",
        "/%61dmin/routes",
        "/./admin/config",
        "/api/../admin/breakers",
        "/api/%2e%2e/metrics",
        "/status/",
        "/STATUS",
        "/%73tatus.json",
        "/health//ready",
        "/health/live/../ready",
        "/front/ready",
        *(path for path in FOR_OPERATORS if path not in OPEN_AT_NGINX),
    ],
)
def test_what_is_for_operators_is_not_there_from_outside_however_it_is_spelt(nginx, edges, path):
    status, headers, body = run(nginx.ask(path, "X-Request-Id: from-outside"))

    assert (status, headers["content-type"]) == (404, "application/problem+json")
    assert json.loads(body)["code"] == "route.not_found"
    assert headers["x-request-id"] == "from-outside"
    assert "from-outside" not in logged_by(edges)


def logged_by(edges):
    """By all of them, in either colour: nginx may still send a request where its traffic went a moment ago."""
    return json.dumps([edge.logged() for colour in edges for edge in colour])


@pytest.mark.parametrize("path", ["/administrators", "/statuses", "/status.jsonl"])
def test_a_path_that_only_begins_like_an_operators_is_the_edges_own(nginx, path):
    status, headers, _ = run(nginx.ask(path))

    assert status == 404
    assert "server-timing" in headers


@pytest.mark.parametrize("path", sorted(OPEN_AT_NGINX))
def test_whoever_watches_from_outside_learns_whether_an_edge_serves(nginx, path):
    status, headers, _ = run(nginx.ask(path))

    assert status == 200
    assert "x-request-id" in headers


def test_browsers_are_told_to_come_by_tls_whoever_answers(nginx):
    answers = [run(nginx.ask(path)) for path in ("/api/products/3", "/metrics")]

    assert [(status, headers["strict-transport-security"]) for status, headers, _ in answers] == [
        (200, "max-age=31536000"),
        (404, "max-age=31536000"),
    ]


def test_one_id_is_in_both_logs(nginx, edges):
    status, headers, _ = run(nginx.ask("/api/products/3", "X-Request-Id: one-id-for-both", source="127.0.0.5"))

    assert (status, headers["x-request-id"]) == (200, "one-id-for-both")
    eventually(lambda: "one-id-for-both" in logged_by(edges), what="its line in an edge's log")
    of_nginx = eventually(lambda: [line for line in nginx.log().splitlines() if "one-id-for-both" in line])
    line = json.loads(of_nginx[0])
    assert (line["http.response.status_code"], line["source.address"]) == (200, "127.0.0.5")


def test_the_edge_learns_who_asks_and_nobody_can_say_to_be_somebody_else(nginx):
    refused, _, _ = run(nginx.ask("/api/products/3", source="127.0.0.66"))
    pretends, _, _ = run(nginx.ask("/api/products/3", "X-Forwarded-For: 127.0.0.5", source="127.0.0.66"))
    served, _, _ = run(nginx.ask("/api/products/3", "X-Forwarded-For: 203.0.113.9", source="127.0.0.5"))

    assert (refused, pretends, served) == (403, 403, 200)


@pytest.mark.parametrize("offered", ["", "with blanks in it", "x" * 129], ids=["none", "blanks", "too long"])
def test_who_brings_no_sane_id_gets_one_that_both_know(nginx, offered):
    _, headers, _ = run(nginx.ask("/api/products/3", f"X-Request-Id: {offered}"))

    assert headers["x-request-id"] != offered
    assert eventually(lambda: headers["x-request-id"] in nginx.log())


def test_traffic_goes_over_to_green_by_share_and_back_without_one_failed_request(nginx, edges):
    blue, green = edges

    async def enough(callers, *of):
        before = callers.by(*of)
        await eventually_async(lambda: callers.by(*of) >= before + 30 or callers.failures, within=60)

    async def shifted(share):
        status, said = await asyncio.to_thread(nginx.traffic, share)
        assert status == 0, said

    async def scenario():
        async with Callers(nginx) as callers:
            await enough(callers, *blue)  # a shift before this one may need a moment until its last process is gone
            early = callers.by(*green)
            await enough(callers, blue[0])
            await enough(callers, blue[1])
            assert callers.by(*green) == early
            await shifted("25")
            await enough(callers, *green)
            await enough(callers, *blue)
            await shifted("green")
            await enough(callers, *green)
            await shifted("blue")
            await enough(callers, *blue)
        return callers

    callers = run(scenario())

    assert callers.failures == []
    assert nginx.traffic("show") == (0, "0 % of the requests go to green, the others to blue.\n")


def test_the_share_of_green_is_what_was_asked_for(nginx, edges):
    async def scenario():
        await asyncio.to_thread(nginx.traffic, "30")
        try:
            async with Callers(nginx) as callers:
                await eventually_async(lambda: callers.answered.total() >= 400, within=60)
        finally:
            await asyncio.to_thread(nginx.traffic, "blue")
        return callers

    callers = run(scenario())

    assert 0.15 < callers.by(*edges[1]) / callers.answered.total() < 0.45
    assert callers.failures == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"TRAFFIC_GREEN": "127.0.0.1:1"}, "green is not ready"),
        ({"TRAFFIC_GREEN": "127.0.0.1:99999", "TRAFFIC_PROBE": "true"}, "all is as before"),
    ],
    ids=["green does not answer", "nginx does not take it"],
)
def test_a_shift_that_cannot_work_changes_nothing_and_says_why(nginx, changes, told):
    before = (nginx.home / "traffic" / "traffic.conf").read_text()

    status, said = nginx.traffic("green", **changes)

    assert (status, told in said) == (1, True), said
    assert (nginx.home / "traffic" / "traffic.conf").read_text() == before
    assert run(nginx.ask("/api/products/3"))[0] == 200


def test_when_an_edge_dies_the_other_answers_and_when_none_is_left_that_is_said_in_a_problem_document():
    async def scenario(nginx, doomed, other):
        async with Callers(nginx) as callers:
            await eventually_async(lambda: callers.by(doomed) >= 20 and callers.by(other) >= 20, within=60)
            doomed.process.kill()
            served = callers.by(other)
            await eventually_async(lambda: callers.by(other) >= served + 100 or callers.failures, within=60)
        other.process.kill()
        await asyncio.to_thread(other.process.wait)
        return callers, await nginx.ask("/api/products/3"), await nginx.ask("/api/orders", method="POST")

    with AnEdge() as doomed, AnEdge() as other, Nginx([doomed, other]) as nginx:
        callers, (status, headers, body), changing = asyncio.run(scenario(nginx, doomed, other))

    assert callers.failures == []
    assert (status, headers["content-type"], headers["retry-after"]) == (503, "application/problem+json", "1")
    assert json.loads(body)["code"] == "edge.away"
    assert (changing[0], json.loads(changing[2])["code"]) == (504, "outcome.unknown")
    assert "retry-after" not in changing[1]
