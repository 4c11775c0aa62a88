import asyncio
import json
from random import Random

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from edge.cache.answering import ResponseCache
from edge.cache.local import LocalStore
from shared.resilience.breaker import BreakerState
from tests.builders.gateway import a_gateway, a_route
from tests.builders.upstream import Upstream, answer
from tests.builders.waiting import eventually_async
from tests.fakes.edge import a_token

pytestmark = pytest.mark.anyio

GET = a_route()
POST = a_route("send", "POST", idempotency="accepted")
PUT = a_route("put", "PUT", idempotency="accepted")
SEED = 1
"""With it the first of two idle instances is asked now and then."""

TOKEN = {"authorization": f"Bearer {a_token(scope='edge:admin catalog:write')}"}


def answering(*parts, keeps=True):
    """Whatever is asked, these bytes come back."""

    async def behave(_asked, _reader, writer):
        writer.write(b"".join(parts))
        await writer.drain()
        return keeps

    return behave


async def silent(_asked, reader, _writer):
    await reader.read()


async def hanging_up(_asked, _reader, writer):
    writer.transport.abort()


async def raw(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        got = await reader.read()
    writer.close()
    return got


def problem(response):
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


async def test_a_request_goes_on_and_its_answer_comes_back_as_it_is(tmp_path):
    given = answer(b"made", "content-type: text/x-own", "x-own: 1", "set-cookie: a=1", "set-cookie: b=2", status=201)
    route = a_route(path="/shop/{kind}/{id}", http={"path": "/v2/{id}/of/{kind}"})
    async with Upstream("a", answering(given)) as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        response = await edge.client.get("/shop/big%20ones/7%2F8?q=a%26b&q=c", headers={"X-Tag": "mine"})

    (asked,) = one.asked
    assert (asked.method, asked.target) == ("GET", "/v2/7%2F8/of/big%20ones?q=a%26b&q=c")
    assert asked.value("x-tag") == "mine"
    assert asked.value("host") == f"127.0.0.1:{one.port}"
    assert (response.status_code, response.text) == (201, "made")
    assert response.headers["content-type"] == "text/x-own"
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-request-id"] == asked.value("x-request-id")
    assert response.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("status", [200, 204, 206, 301, 304, 404, 418, 500, 599])
async def test_every_status_passes(tmp_path, status):
    given = f"HTTP/1.1 {status} So\r\n".encode() + (b"\r\n" if status in {204, 304} else b"content-length: 0\r\n\r\n")
    async with Upstream("a", answering(given)) as one, a_gateway(tmp_path, GET) as edge:
        edge.there_are(one)
        statuses = [(await edge.client.get("/things/x")).status_code for _ in range(2)]

    assert statuses == [status, status]
    assert one.made == 1


@pytest.mark.parametrize(
    "segment",
    ["..", ".", "%2e%2e", "%2E", "..;", "%2e.;a=b", ".%3B", "%2f..", "a%2F%2e%2e%2Fb", "a%5c..%3b", "%2F.%2Fa"],
)
async def test_a_variable_never_climbs_out_of_its_place(tmp_path, segment):
    async with Upstream("a") as one, a_gateway(tmp_path, a_route(http={"path": "/open/{rest}"})) as edge:
        edge.there_are(one)
        got = await raw(edge.port, f"GET /things/{segment} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())

    assert got.startswith(b"HTTP/1.1 404")
    assert one.asked == []


async def test_a_field_in_another_encoding_passes_as_it_is(tmp_path):
    given = b"HTTP/1.1 200 OK\r\nx-own: caf\xe9\r\ncontent-length: 2\r\n\r\nok"
    async with Upstream("a", answering(given)) as one, a_gateway(tmp_path, GET) as edge:
        edge.there_are(one)
        got = await raw(edge.port, b"GET /things/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert b"x-own: caf\xe9\r\n" in got


async def test_a_head_is_a_head_there_too_and_tells_the_length(tmp_path):
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with (
        Upstream("a", answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")) as one,
        a_gateway(tmp_path, GET) as edge,
    ):
        edge.there_are(one)
        known = await edge.client.head("/things/x")
        one.behave = answering(chunked)
        unknown = await edge.client.head("/things/x")
        one.behave = None
        after = await edge.client.get("/things/x")

    assert [asked.method for asked in one.asked] == ["HEAD", "HEAD", "GET"]
    assert known.headers["content-length"] == "5"
    assert "content-length" not in unknown.headers
    assert (after.status_code, after.json()["by"]) == (200, "a")


async def test_a_client_of_http_1_0_gets_a_length_and_never_chunks(tmp_path):
    chunked = answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    async with Upstream("a", chunked) as one, a_gateway(tmp_path, GET) as edge:
        edge.there_are(one)
        got = await raw(edge.port, b"GET /things/x HTTP/1.0\r\nHost: a\r\n\r\n")

    assert b"content-length: 3\r\n" in got
    assert got.endswith(b"\r\n\r\nabc")


async def test_who_calls_is_told_by_the_edge_and_never_by_the_client(tmp_path):
    forged = {"X-User-Id": "admin", "X_User_Id": "admin", "X-Forwarded-For": "10.9.9.9", "Via": "1.1 me"}
    open_route = a_route(auth="optional")
    async with Upstream("a") as one, a_gateway(tmp_path, open_route) as edge:
        edge.there_are(one)
        await edge.client.get("/things/x", headers=forged)
        await edge.client.get("/things/x", headers=forged | TOKEN)

    guest, known = one.asked
    assert "admin" not in str(guest.fields)
    assert guest.value("x-forwarded-for") == "127.0.0.1"
    assert guest.value("via") == "1.1 kirana"
    assert known.value("x-user-id") == "user-1"
    assert known.value("x-user-scopes") == "catalog:write edge:admin"
    assert known.values("authorization") == []


async def test_a_trusted_proxy_is_believed_and_continued(tmp_path):
    said = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
    async with Upstream("a") as one, a_gateway(tmp_path, GET, trusted_proxies=("127.0.0.0/8",)) as edge:
        edge.there_are(one)
        await edge.client.get("/things/x", headers=said)

    assert one.asked[0].value("x-forwarded-for") == "198.51.100.7, 127.0.0.1"
    assert one.asked[0].value("x-forwarded-proto") == "https"


async def test_the_token_passes_where_the_route_says_so(tmp_path):
    route = a_route(auth="required", http={"credentials": ["authorization"]})
    async with Upstream("a") as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        await edge.client.get("/things/x", headers=TOKEN)

    assert one.asked[0].value("authorization") == TOKEN["authorization"]


@pytest.mark.parametrize(
    "smuggled",
    [
        b"Connection: close, Host\r\n",
        b"Connection: X-Request-ID, Via, X-Forwarded-For, close\r\n",
        b"TE: trailers, deflate\r\nTrailer: X-User-Id\r\nConnection: close\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n",
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings, close\r\n",
        b"Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=99\r\nConnection: close\r\n",
    ],
    ids=["host", "said by the edge", "te and trailer", "websocket", "h2c", "proxy connection"],
)
async def test_no_field_of_the_connection_reaches_the_service(tmp_path, smuggled):
    async with Upstream("a") as one, a_gateway(tmp_path, GET) as edge:
        edge.there_are(one)
        got = await raw(edge.port, b"GET /things/x HTTP/1.1\r\nHost: a\r\n" + smuggled + b"\r\n")

    (asked,) = one.asked
    told = {name for name, _ in asked.fields}
    assert got.startswith(b"HTTP/1.1 200")
    assert not {"connection", "te", "trailer", "upgrade", "http2-settings", "keep-alive", "proxy-connection"} & told
    assert {"host", "x-request-id", "via", "x-forwarded-for"} <= told


@pytest.mark.parametrize(
    "framing",
    [
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcdGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"Content-Length: +4\r\n\r\nabcd",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["chunked", "both", "two lengths", "signed", "space before the colon", "unknown coding"],
)
async def test_a_body_whose_end_is_doubtful_never_reaches_a_service(tmp_path, framing):
    async with Upstream("a") as one, a_gateway(tmp_path, POST) as edge:
        edge.there_are(one)
        got = await raw(edge.port, b"POST /things/x HTTP/1.1\r\nHost: a\r\n" + framing)

    assert got[9:12] in {b"400", b"411"}
    assert got.count(b"HTTP/1.1 ") == 1
    assert one.asked == []


async def test_after_a_body_the_connection_is_good_for_the_next_request(tmp_path, caplog):
    post = b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    async with Upstream("a") as one, a_gateway(tmp_path, POST, GET) as edge:
        edge.there_are(one)
        got = await raw(edge.port, post * 2 + b"GET /things/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert got.count(b"HTTP/1.1 200") == 3
    assert [asked.body for asked in one.asked] == [b"abc", b"abc", b""]
    assert "body not consumed" not in caplog.text


async def test_a_body_of_any_kind_goes_on_as_it_is_with_its_length(tmp_path):
    body, said = bytes(range(256)) * 1000, {"content-type": "image/x", "idempotency-key": "k"}
    async with Upstream("a") as one, a_gateway(tmp_path, POST) as edge:
        edge.there_are(one)
        response = await edge.client.post("/things/x", content=body, headers=said)

    (asked,) = one.asked
    assert response.status_code == 200
    assert asked.body == body
    assert asked.value("content-length") == str(len(body))
    assert (asked.value("content-type"), asked.value("idempotency-key")) == ("image/x", "k")


async def test_a_body_over_the_limit_is_refused_before_anybody_is_asked(tmp_path):
    route = a_route("send", "POST", idempotency="accepted", http={"body_limit": 10})
    async with Upstream("a") as one, a_gateway(tmp_path, route, GET) as edge:
        edge.there_are(one)
        refused = await edge.client.post("/things/x", content=b"x" * 11)
        of_a_get = await edge.client.request("GET", "/things/x", content=b"x")

    assert problem(refused) == problem(of_a_get) == (413, "request.too_large")
    assert one.asked == []


async def test_nobody_there_is_a_503_that_may_be_repeated(tmp_path):
    async with a_gateway(tmp_path, GET, POST) as edge:
        read = await edge.client.get("/things/x")
        written = await edge.client.post("/things/x", content=b"abc")

    assert problem(read) == problem(written) == (503, "service.unavailable")
    assert read.json()["retryable"] is True


async def test_a_dead_instance_is_a_503_and_after_five_the_breaker_spares_the_rest_the_wait(tmp_path):
    async with Upstream("gone") as gone:
        pass
    async with a_gateway(tmp_path, POST) as edge:
        edge.there_are(gone)
        answers = [await edge.client.post("/things/x", content=b"abc") for _ in range(7)]
        outcomes = dict(edge.way("send").outcomes)

    assert {problem(each) for each in answers} == {(503, "service.unavailable")}
    assert outcomes == {"unreached": 5, "not_asked": 2}
    assert int(answers[-1].headers["retry-after"]) > 1


async def test_where_the_route_says_so_a_service_that_answers_slowly_is_spared_too(tmp_path):
    async def slow(_asked, _reader, writer):
        await asyncio.sleep(0.05)
        writer.write(answer(b"late"))
        return True

    slowly = {"calls": 3, "slow": {"seconds": 0.02, "percent": 60}}
    told, patient = a_route(http={"breaker": slowly}), a_route("patient", path="/patient/{rest}")
    async with Upstream("a", slow) as one, a_gateway(tmp_path, told, patient) as edge:
        edge.there_are(one)
        statuses = [(await edge.client.get("/things/x")).status_code for _ in range(4)]
        others = [(await edge.client.get("/patient/x")).status_code for _ in range(4)]
        reason = edge.way().breaker.reason

    assert (statuses, others) == ([200, 200, 200, 503], [200] * 4)
    assert reason == "3 of 3 calls were slow"


async def test_how_soon_and_for_how_long_the_breaker_opens_is_the_routes_to_say(tmp_path):
    now = [0.0]
    words = {"breaker": {"failures": 2, "open_for": 100}, "retries": 0}
    async with Upstream("a", hanging_up) as one, a_gateway(tmp_path, a_route(http=words), clock=lambda: now[0]) as edge:
        edge.there_are(one)
        for _ in range(3):
            await edge.client.get("/things/x")
        seen, now[0] = len(one.asked), 80.0
        still = edge.way().breaker_state
        now[0] = 101.0
        over = edge.way().breaker_state

    assert (seen, still, over) == (2, BreakerState.OPEN, BreakerState.HALF_OPEN)


async def test_a_newcomer_wakes_the_breaker(tmp_path):
    async with Upstream("gone") as gone:
        pass
    async with Upstream("new") as new, a_gateway(tmp_path, GET) as edge:
        edge.there_are(gone)
        for _ in range(6):
            await edge.client.get("/things/x")
        edge.there_are(new)
        response = await edge.client.get("/things/x")

    assert response.json()["by"] == "new"


async def test_what_may_have_happened_is_not_repeated_and_said_so(tmp_path):
    async with Upstream("a", hanging_up) as one, Upstream("b", hanging_up) as two, a_gateway(tmp_path, POST) as edge:
        edge.there_are(one, two)
        response = await edge.client.post("/things/x", content=b"abc")

    assert problem(response) == (504, "outcome.unknown")
    assert len(one.asked) + len(two.asked) == 1


@pytest.mark.parametrize(("method", "status"), [("GET", 503), ("PUT", 504)])
async def test_what_may_happen_twice_is_tried_once_more_and_somewhere_else(tmp_path, method, status):
    async with (
        Upstream("a", hanging_up) as one,
        Upstream("b") as two,
        a_gateway(tmp_path, GET, PUT, dice=Random(SEED)) as edge,
    ):
        edge.there_are(one, two)
        answers = [await edge.client.request(method, "/things/x") for _ in range(8)]
        two.behave = hanging_up
        last = await edge.client.request(method, "/things/x")

    assert {each.status_code for each in answers} == {200}
    assert one.asked
    assert last.status_code == status


async def test_a_body_that_has_begun_to_go_is_not_sent_again(tmp_path):
    async with Upstream("a", hanging_up) as one, Upstream("b", hanging_up) as two, a_gateway(tmp_path, PUT) as edge:
        edge.there_are(one, two)
        response = await edge.client.put("/things/x", content=b"abc")

    assert problem(response) == (504, "outcome.unknown")
    assert len(one.asked) + len(two.asked) == 1


async def test_retries_end_with_their_budget(tmp_path):
    tough = a_route(http={"ejection": {"failures": 100}})
    async with Upstream("a") as one, Upstream("b") as two, a_gateway(tmp_path, tough) as edge:
        edge.there_are(one, two)
        await edge.client.get("/things/x")
        edge.way().breaker.rule(BreakerState.CLOSED)
        one.behave = two.behave = hanging_up
        for _ in range(40):
            await edge.client.get("/things/x")
        retries = edge.service.retries

    assert len(one.asked) + len(two.asked) == 41 + retries
    assert 10 <= retries <= 14


async def test_what_answers_too_late_is_not_waited_for(tmp_path):
    routes = [each | {"deadline": 0.4} for each in (GET, POST)]
    async with Upstream("a", silent) as one, a_gateway(tmp_path, *routes) as edge:
        edge.there_are(one)
        read = await edge.client.get("/things/x")
        written = await edge.client.post("/things/x", content=b"abc")
        await eventually_async(lambda: not one.connections, what="the edge to hang up")
        figures = edge.service.figures()

    assert problem(read) == (503, "deadline.passed")
    assert problem(written) == (504, "outcome.unknown")
    assert figures["in_flight"] == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nb d: 1\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["no http", "no status", "unasked switch", "no length", "two lengths", "too long", "no field"],
)
async def test_an_answer_that_makes_no_sense_is_a_502(tmp_path, nonsense):
    async with Upstream("a", answering(nonsense, keeps=False)) as one, a_gateway(tmp_path, GET) as edge:
        edge.there_are(one)
        response = await edge.client.get("/things/x")

    assert problem(response) == (502, "upstream.unusable")


@pytest.mark.parametrize(
    "long",
    [answer(b"x" * 11), b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\nxxxxxxxxxxx\r\n0\r\n\r\n"],
    ids=["of known length", "chunked"],
)
async def test_an_answer_longer_than_the_route_allows_is_a_502(tmp_path, long):
    route = a_route(http={"answer_limit": 10})
    async with Upstream("a", answering(long)) as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        response = await edge.client.get("/things/x")
        figures = edge.service.figures()

    assert problem(response) == (502, "upstream.unusable")
    assert figures["in_flight"] == 0


@pytest.mark.parametrize(
    "half",
    [b"content-length: 10\r\n\r\nhalf", b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
    ids=["of known length", "chunked"],
)
async def test_half_an_answer_is_never_taken_for_a_whole_one(tmp_path, half):
    breaking_off = answering(b"HTTP/1.1 200 OK\r\n" + half, keeps=False)
    async with Upstream("a", breaking_off) as one, a_gateway(tmp_path, GET) as edge:
        edge.there_are(one)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await edge.client.get("/things/x")
        figures = edge.service.figures()

    assert figures["in_flight"] == 0


async def test_an_answer_that_ends_with_its_connection_is_whole(tmp_path):
    closing = answering(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it", keeps=False)
    async with Upstream("a", closing) as one, a_gateway(tmp_path, GET) as edge:
        edge.there_are(one)
        response = await edge.client.get("/things/x")

    assert (response.status_code, response.text) == (200, "all of it")


async def test_a_client_that_goes_takes_its_request_along(tmp_path):
    async with Upstream("a", silent) as one, a_gateway(tmp_path, GET) as edge:
        edge.there_are(one)
        _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(b"GET /things/x HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually_async(lambda: one.asked, what="the request to come")
        writer.transport.abort()
        await eventually_async(lambda: not one.connections, what="the service to be told")
        figures, outcomes = edge.service.figures(), dict(edge.way().outcomes)

    assert figures["in_flight"] == 0
    assert outcomes == {"abandoned": 1}


async def test_connections_are_kept_and_no_more_are_made_than_the_route_allows(tmp_path):
    gate = asyncio.Event()

    async def waiting(_asked, _reader, writer):
        await gate.wait()
        writer.write(answer(b"ok"))
        return True

    async with Upstream("a", waiting) as one, a_gateway(tmp_path, a_route(http={"connections": 3})) as edge:
        edge.there_are(one)
        asking = [asyncio.ensure_future(edge.client.get("/things/x")) for _ in range(5)]
        await eventually_async(lambda: sum(each.done() for each in asking) == 2, what="two to be turned away")
        gate.set()
        statuses = sorted([(await each).status_code for each in asking])
        for _ in range(5):
            await edge.client.get("/things/x")

    assert statuses == [200, 200, 200, 503, 503]
    assert one.made == 3


async def test_a_failing_instance_is_left_out_until_its_time_is_over(tmp_path):
    now = [0.0]
    one_failure = a_route(http={"ejection": {"failures": 2, "first": 10, "slow_start": 0}, "balance": "round-robin"})
    async with (
        Upstream("a", answering(answer(status=503))) as bad,
        Upstream("b") as good,
        a_gateway(tmp_path, one_failure, clock=lambda: now[0]) as edge,
    ):
        edge.there_are(bad, good)
        for _ in range(10):
            await edge.client.get("/things/x")
        seen, figures = len(bad.asked), edge.service.figures()
        bad.behave, now[0] = None, 11.0
        for _ in range(4):
            await edge.client.get("/things/x")

    assert seen == 2
    assert figures == {"passing": 2, "ejected": 1, "in_flight": 0}
    assert len(bad.asked) == 4


async def test_a_fault_of_the_services_code_does_not_eject_the_instance(tmp_path):
    route = a_route(http={"ejection": {"failures": 1}})
    async with (
        Upstream("a", answering(answer(status=500))) as one,
        Upstream("b") as two,
        a_gateway(tmp_path, route, dice=Random(SEED)) as edge,
    ):
        edge.there_are(one, two)
        for _ in range(10):
            await edge.client.get("/things/x")
        figures = edge.service.figures()

    assert one.asked
    assert figures["ejected"] == 0


async def test_a_header_leads_to_the_canary_and_its_absence_never_does(tmp_path):
    header = {"name": "X-Canary", "values": {"1": "canary"}}
    route = a_route(http={"versions": {"split": {"stable": 100, "canary": 0}, "header": header}})
    async with (
        Upstream("s", meta={"version": "stable"}) as stable,
        Upstream("c", meta={"version": "canary"}) as canary,
        a_gateway(tmp_path, route) as edge,
    ):
        edge.there_are(stable, canary)
        plain = {(await edge.client.get("/things/x")).json()["by"] for _ in range(10)}
        asked = {(await edge.client.get("/things/x", headers={"X-Canary": "1"})).json()["by"] for _ in range(10)}

    assert (plain, asked) == ({"s"}, {"c"})


async def test_an_instance_that_is_well_again_is_asked_at_once_where_it_is_the_only_one_of_its_version(tmp_path):
    header = {"name": "X-Canary", "values": {"1": "canary"}}
    route = a_route(http={"versions": {"split": {"stable": 100, "canary": 0}, "header": header}})
    async with (
        Upstream("s", answering(answer(status=503)), meta={"version": "stable"}) as stable,
        Upstream("c", meta={"version": "canary"}) as canary,
        a_gateway(tmp_path, route, clock=lambda: 0.0) as edge,
    ):
        edge.there_are(stable, canary)
        unwell = [(await edge.client.get("/things/x")).status_code for _ in range(6)]
        stable.behave = None
        well = [await edge.client.get("/things/x") for _ in range(3)]
        figures = edge.service.figures()

    assert unwell == [503] * 6
    assert [(each.status_code, each.json().get("by")) for each in well] == [(200, "s")] * 3
    assert canary.asked == []
    assert figures["ejected"] == 0


async def test_a_caller_stays_with_one_instance(tmp_path):
    route = a_route(auth="required", http={"balance": "hash", "hash": "caller"})
    tokens = [{"authorization": f"Bearer {a_token(sub=f'user-{number}')}"} for number in range(6)]
    async with Upstream("a") as one, Upstream("b") as two, a_gateway(tmp_path, route) as edge:
        edge.there_are(one, two)
        for token in tokens * 3:
            await edge.client.get("/things/x", headers=token)

    by_user = {}
    for each in (one, two):
        for asked in each.asked:
            by_user.setdefault(asked.value("x-user-id"), set()).add(each.name)
    assert len(by_user) == 6
    assert all(len(names) == 1 for names in by_user.values())


async def test_answers_are_changed_as_the_route_says(tmp_path):
    transforms = {
        "request": {"headers": {"set": {"X-Shop": "kirana"}, "remove": ["X-Debug"]}},
        "response": {"headers": {"remove": ["X-Node"]}, "json": {"drop": ["cost"], "rename": {"nm": "name"}}},
    }
    given = answer(json.dumps({"nm": "a", "cost": 3}).encode(), "content-type: application/json", "x-node: n1")
    async with Upstream("a", answering(given)) as one, a_gateway(tmp_path, a_route(transforms=transforms)) as edge:
        edge.there_are(one)
        no_piece = {"Range": "bytes=0-3", "If-Range": '"a"', "Accept-Encoding": "gzip"}
        response = await edge.client.get("/things/x", headers={"X-Debug": "1"} | no_piece)

    assert response.json() == {"name": "a"}
    assert "x-node" not in response.headers
    assert one.asked[0].value("x-shop") == "kirana"
    gone = {"x-debug", "accept-encoding", "range", "if-range"}
    assert gone.isdisjoint(name for name, _ in one.asked[0].fields)


async def test_a_request_is_changed_before_it_goes_on(tmp_path):
    transforms = {"request": {"json": {"rename": {"qty": "quantity"}, "set": {"channel": "web"}}}}
    route = a_route("send", "POST", idempotency="accepted", transforms=transforms)
    async with Upstream("a") as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        sent = await edge.client.post("/things/x", json={"qty": 2})
        clash = await edge.client.post("/things/x", json={"qty": 2, "quantity": 3})

    assert sent.status_code == 200
    assert json.loads(one.asked[0].body) == {"quantity": 2, "channel": "web"}
    assert problem(clash) == (400, "request.invalid")
    assert len(one.asked) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "nested"),
        (b'{"a": [' + b"1," * 10_000 + b"1]}", "items"),
        (b'{"a": [' + b"1," * 5_000 + b"1]}", None),
    ],
    ids=["too deep", "too long", "large"],
)
async def test_a_body_that_is_changed_on_its_way_has_the_same_bounds_as_one_for_a_service_of_ours(tmp_path, body, why):
    transforms = {"request": {"json": {"set": {"channel": "web"}}}}
    route = a_route("send", "POST", idempotency="accepted", body_limit=1_000_000, transforms=transforms)
    async with Upstream("a") as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        response = await edge.client.post("/things/x", content=body, headers={"content-type": "application/json"})

    if why is None:
        assert (response.status_code, len(one.asked)) == (200, 1)
    else:
        assert problem(response) == (400, "request.malformed")
        assert why in response.json()["detail"]
        assert one.asked == []


@pytest.mark.parametrize("sent", [{"content": b""}, {"json": {}}], ids=["no body", "an empty one"])
async def test_what_a_route_sets_is_set_whatever_the_client_sends(tmp_path, sent):
    transforms = {"request": {"json": {"set": {"channel": "web"}}, "headers": {"set": {"X-Shop": "kirana"}}}}
    route = a_route("send", "POST", idempotency="accepted", transforms=transforms)
    async with Upstream("a") as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        await edge.client.post("/things/x", headers={"X_Shop": "another"}, **sent)

    (asked,) = one.asked
    assert json.loads(asked.body) == {"channel": "web"}
    assert asked.values("content-type") == ["application/json"]
    assert [value for name, value in asked.fields if name.replace("_", "-") == "x-shop"] == ["kirana"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{", ("content-type: application/json",)),
        (b'{"a": "' + b"x" * 1_100_000 + b'"}', ("content-type: application/json",)),
        (b"\x1f\x8b\x08", ("content-type: application/json", "content-encoding: gzip")),
    ],
    ids=["no json", "too large", "packed"],
)
async def test_what_a_route_hides_does_not_come_out_because_it_cannot_be_hidden(tmp_path, body, fields):
    route = a_route(transforms={"response": {"json": {"drop": ["secret"]}}})
    async with Upstream("a", answering(answer(body, *fields))) as one, a_gateway(tmp_path, route) as edge:
        edge.there_are(one)
        response = await edge.client.get("/things/x")

    assert problem(response) == (502, "upstream.unusable")


async def test_an_answer_is_kept_where_the_route_and_the_service_allow_it(tmp_path):
    kept = {"cache": {"ttl": 60}, "answer": {"cache_control": "public, max-age=5"}}
    routes = [a_route(**kept), a_route("no", path="/others/{rest}", **kept)]
    cache = ResponseCache(local=LocalStore(1_000_000))
    async with Upstream("a") as one, a_gateway(tmp_path, *routes, cache=cache) as edge:
        edge.there_are(one)
        first, second = [await edge.client.get("/things/x") for _ in range(2)]
        one.behave = answering(answer(b"mine", "cache-control: private"))
        private = [await edge.client.get("/others/x") for _ in range(2)]

    assert first.json() == second.json()
    assert "hit" in second.headers["cache-status"]
    assert [each.text for each in private] == ["mine", "mine"]
    assert len(one.asked) == 3
    assert one.asked[0].values("user-agent") == []


async def test_a_route_to_a_service_is_described_as_far_as_it_is_known(tmp_path):
    described = a_route("openapi", path="/openapi.json", local="openapi")
    routes = [GET, POST, {name: value for name, value in described.items() if name != "http"}]
    async with a_gateway(tmp_path, *routes) as edge:
        document = (await edge.client.get("/openapi.json")).json()

    OpenAPIV31SpecValidator(document).validate()
    read, written = document["paths"]["/things/{rest}"]["get"], document["paths"]["/things/{rest}"]["post"]
    assert [each["name"] for each in read["parameters"]] == ["rest"]
    assert {"default", "502", "503"} <= set(read["responses"])
    assert "504" in written["responses"]
    assert "requestBody" not in read
    assert "*/*" in written["requestBody"]["content"]
