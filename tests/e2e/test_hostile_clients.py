"""Clients that race, guess, cut in and lie: what they get is truthful, and nobody else notices."""

import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.builders.shop import PASSWORD, Client, a_product, assert_problem, logged_in, registered, settled, unique
from tests.builders.waiting import eventually


@pytest.mark.parametrize("contested", ["username", "email"])
def test_of_twenty_who_want_one_name_at_once_one_gets_it_and_none_breaks_anything(stack, contested):
    name = unique("race")

    def register(number):
        own = {"username": f"{name}-{number}", "email": f"{name}-{number}@example.com"}
        wanted = {"username": name, "email": f"{name}@example.com"}[contested]
        body = own | {contested: wanted.upper() if number % 2 else wanted}
        body |= {"password": PASSWORD, "password2": PASSWORD}
        key = {"Idempotency-Key": unique("key")}
        with Client(stack) as client:
            return settled(lambda: client.post("/api/users", json=body, headers=key)).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = Counter(pool.map(register, range(20)))

    assert statuses == {201: 1, 409: 19}


def test_one_refresh_token_sent_ten_times_at_once_has_one_successor(stack):
    refresh = logged_in(stack)["refresh"]

    def exchange(_):
        with Client(stack) as client:
            return settled(lambda: client.post("/api/token/refresh", json={"refresh": refresh}))

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(exchange, range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh"] for answer in answers}) == 1


def test_a_flood_of_logins_gets_true_answers_and_does_not_reach_the_shelves(stack):
    """Those who do not come in are told to come back, or, on a machine that is starved, that nobody knows (504)."""
    user = registered(stack)

    def log_in(_):
        with Client(stack) as client:
            return client.post("/api/token", json={"username": user["username"], "password": PASSWORD})

    with ThreadPoolExecutor(40) as pool, Client(stack) as visitor:
        flood = [pool.submit(log_in, number) for number in range(80)]
        visits = [visitor.get("/api/products/1").status_code for _ in range(10)]
        answers = [each.result() for each in flood]

    assert {answer.status_code for answer in answers} <= {200, 503, 504}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
    assert set(visits) <= {200, 404}
    assert eventually(lambda: log_in(0).status_code == 200, what="a login after the flood")


def test_identity_headers_that_a_client_makes_up_are_nothing(stack, customer):
    known = customer.get("/api/users/me").json()
    forged = {"X-User-Id": "admin", "nameko.user_id": "admin", "X-HTTP-Method-Override": "DELETE"}

    assert customer.get("/api/users/me", headers=forged).json() == known
    with Client(stack) as stranger:
        assert_problem(stranger.get("/api/users/me", headers=forged), 401)
        assert_problem(stranger.get(f"/api/users/me?access_token={logged_in(stack)['access']}"), 401)


def test_a_cursor_opens_only_the_list_it_was_given_for(client, customer):
    following = client.get("/api/products?limit=1&sort=price").links["next"]["url"]
    cursor = following.rpartition("cursor=")[2]

    assert client.get(f"/api/products?sort=price&limit=9&cursor={cursor}").status_code == 200
    for other in ("/api/products?", "/api/products?sort=name&", "/api/products?sort=price&q=tea&", "/api/orders?"):
        assert_problem(customer.get(f"{other}cursor={cursor}"), 400, "request.invalid")


@pytest.mark.parametrize("email", ["a@[127.0.0.1]", "a(b)@example.com", "a@-b.com", "a@b_c.com"])
def test_no_account_makes_our_relay_knock_at_odd_places(client, email):
    body = {"username": unique("odd"), "password": PASSWORD, "password2": PASSWORD, "email": email}

    problem = assert_problem(client.post("/api/users", json=body), 400, "request.invalid")

    assert [fault["pointer"] for fault in problem["errors"]] == ["/email"]


def test_a_precondition_counts_only_for_a_request_that_is_else_in_order(admin):
    product = a_product(admin)

    assert_problem(admin.patch(f"/api/products/{product['id']}", json={"x": 1}, headers={"If-Match": '"no"'}), 400)
    assert_problem(admin.patch(f"/api/products/{product['id']}", json={"name": "N"}, headers={"If-Match": '"no"'}), 412)


def conversation(stack, *parts, seconds=5.0):
    """What the edge says to these bytes, until it closes."""
    address = urlsplit(stack.edge_url)
    said = b""
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as line:
        for part in parts:
            line.sendall(part)
        while chunk := line.recv(65536):
            said += chunk
    return said


def request(path, *, method=b"GET", headers=(), body=b""):
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: shop", *headers]
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", b""]) + body


LAST = request(b"/health/live", headers=[b"Connection: close"])


@pytest.mark.parametrize(
    "smuggled",
    [
        b"POST /api/users HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n",
        b"POST /api/users HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/users HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\n b\r\n\r\n",
    ],
)
def test_after_a_request_that_two_could_read_differently_nothing_more_is_answered(stack, smuggled):
    said = conversation(stack, smuggled + LAST)

    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1 ") == 1


def test_a_hundred_requests_in_one_breath_are_answered_in_order(stack):
    numbered = [request(b"/health/live", headers=[b"X-Request-ID: n%d" % number]) for number in range(100)]

    said = conversation(stack, b"".join(numbered) + LAST)

    ids = [line.rpartition(b" ")[2] for line in said.split(b"\r\n") if line.startswith(b"x-request-id: n")]
    assert ids == [b"n%d" % number for number in range(100)]


def test_a_refusal_does_not_confuse_what_comes_after_it_on_the_line(stack):
    refused = [
        request(b"/nowhere", method=b"POST", body=LAST),
        request(b"/api/products", method=b"PUT", body=b"{}"),
        request(b"/api/orders", method=b"POST", body=b"{}"),
        request(b"/api/orders", method=b"OPTIONS", body=b"{}"),
    ]

    said = conversation(stack, b"".join(refused) + LAST)

    statuses = [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"404", b"405", b"401", b"204", b"200"]


def test_hostile_input_writes_no_error_and_no_secret_into_the_logs(stack):
    user, mark = registered(stack), unique("injected")
    pair = logged_in(stack, user)
    before = {path: path.stat().st_size for path in spools(stack)}
    with Client(stack, token=pair["access"]) as client:
        client.request("OPTIONS", "/api/products", json={"a": mark})
        client.post("/api/token/refresh", json={"refresh": pair["refresh"]})
        client.post("/api/token", json={"username": user["username"], "password": "not " + PASSWORD})
        client.get(f"/api/{mark}%0d%0a%22,%22log%22:1", headers={"X-Request-ID": f'{mark}"\\'})

    lines = written(stack, before, until=mark)

    assert [json.loads(line)["url"]["path"] for line in lines if mark in line] == [f"/api/{mark}%0d%0a%22,%22log%22:1"]
    assert not [line for line in lines if json.loads(line)["log"]["level"] == "error"]
    secrets = [PASSWORD, pair["access"], pair["refresh"], user["email"]]
    assert not [secret for secret in secrets if secret in "\n".join(lines)]


def spools(stack):
    return list(Path(stack.spool).glob("*.jsonl"))


def written(stack, before, *, until, seconds=30.0):
    """The lines since ``before``, once one of them holds ``until``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lines = [line for path in spools(stack) for line in path.read_bytes()[before[path] :].decode().splitlines()]
        if any(until in line for line in lines):
            return lines
        time.sleep(0.05)
    raise AssertionError(f"nothing was logged of {until}")
