"""Requests that two parsers could read differently, or that hold the line: each gets the answer that is promised."""

import asyncio

import pytest

from tests.builders.answers import a_product_answer
from tests.builders.raw_http import HOST, LAST, request, said
from tests.builders.waiting import eventually_async
from tests.fakes.edge import FakeRpc, a_token, collaborators, serving

pytestmark = pytest.mark.anyio

POST = b"POST /api/users HTTP/1.1\r\n" + HOST
HIDDEN = b"GET /api/products/1 HTTP/1.1\r\n" + HOST + b"\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


async def assert_refused(status, *attacks, code=None, then=LAST):
    """Each alone: one problem document, the end of the connection, and nobody behind the edge hears of it.

    A proper request follows, unless the test says otherwise: its end is one for whatever came before, too.
    """
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(collaborators(rpc)) as client:
        for attack in attacks:
            heard = await said(client.base_url.port, attack + then)
            assert heard.statuses == [status], (attack[:300], heard)
            assert heard.ended, attack[:300]
            assert heard.headers["connection"] == "close"
            assert heard.headers["content-type"] == "application/problem+json"
            assert heard.headers["x-request-id"] == heard.problem["request_id"]
            assert "server" not in heard.headers
            assert heard.problem["code"] == code or code is None
        assert (await client.get("/health/live")).status_code == 200
    assert rpc.calls == []


async def test_a01_both_lengths_are_refused():
    await assert_refused(
        400,
        POST + b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + HIDDEN,
        POST + b"\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKS + HIDDEN,
        POST + b"\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello" + HIDDEN,
    )


async def test_a02_two_lengths_are_refused_even_if_they_agree():
    await assert_refused(
        400,
        POST + b"\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        POST + b"\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + b"\r\nContent-Length: 5, 5\r\n\r\nhello",
    )


async def test_a03_a_space_before_the_colon_of_the_length_hides_no_request():
    await assert_refused(
        400,
        POST + b"\r\nContent-Length : %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        POST + b"\r\nContent-Length\t: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        POST + b"\r\n Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    )


async def test_a04_a_space_before_the_colon_of_the_encoding_hides_no_request():
    await assert_refused(400, POST + b"\r\nTransfer-Encoding : chunked\r\n\r\n" + CHUNKS + HIDDEN)


async def test_a05_encodings_that_are_almost_chunked_are_refused():
    await assert_refused(
        400,
        *(
            POST + b"\r\nTransfer-Encoding: " + kind + b"\r\n\r\n" + CHUNKS
            for kind in (b"xchunked", b"chunked, identity", b"gzip, chunked", b"identity", b'"chunked"', b"chunked;q=1")
        ),
    )
    await assert_refused(
        411, *(POST + b"\r\nTransfer-Encoding: " + kind + b"\r\n\r\n" for kind in (b"Chunked", b"chunked "))
    )


async def test_a06_a_length_is_a_plain_number():
    await assert_refused(
        400,
        *(
            POST + b"\r\nContent-Length: " + length + b"\r\n\r\n"
            for length in (b"-1", b"+5", b"0x5", b"5_0", b"9" * 20, "\u0665".encode(), b"5.0", b"1e3", b"", b"5;5")
        ),
    )
    await assert_refused(413, POST + b"\r\nContent-Length: 9999999999\r\n\r\n")


async def test_a07_a_folded_header_is_refused():
    await assert_refused(
        400, *(b"GET / HTTP/1.1\r\n" + HOST + b"\r\nX-A: 1\r\n" + fold + b"b\r\n\r\n" for fold in (b" ", b"\t"))
    )


async def test_a08_control_characters_in_a_header_are_refused():
    await assert_refused(
        400,
        *(
            b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\nX-A: a" + bad + b"b\r\n\r\n"
            for bad in (b"\n", b"\x00", b"\r", b"\x0b", b"\x7f", b"\nX-B: ", b"\xff")
        ),
    )


async def test_a08_lines_without_a_carriage_return_and_a_nul_are_refused_before_the_head_has_an_end():
    line = b"GET /health/live HTTP/1.1"
    await assert_refused(
        400,
        line + b"\n" + HOST + b"\n\n",
        line + b"\r\n" + HOST + b"\n\n",
        line + b"\r\n" + HOST + b"\r\n\n",
        line + b"\r\n" + HOST + b"\r\nX: \0",
        line + b"\n",
        b"\n",
        b"\0",
        b"\x16\x03\x01\x02\x00",
        code="request.malformed",
        then=b"",
    )


async def test_a09_exactly_one_proper_host_is_required():
    await assert_refused(
        400,
        *(
            b"GET /health/live HTTP/1.1\r\n" + host + b"\r\n\r\n"
            for host in (
                b"X: y", b"Host: a\r\nHost: b", b"Host: a\r\nHost: a", b"Host: a/b", b"Host: u@a", b"Host: a b",
                b"Host:", b"Host: a, b", b"Host: a\rb", b"Host: a:port", b"Host: [::1", b"Host: a?x", b"Host: a#x",
            )
        ),
    )  # fmt: skip


async def test_a10_a_chunked_body_is_refused_whatever_is_in_it():
    await assert_refused(
        411,
        *(
            POST + b"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
            for chunks in (
                b"0x5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5;" + b"x" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
                b"0\r\nX-Trailer: 1\r\n\r\n", CHUNKS + HIDDEN,
            )
        ),
    )  # fmt: skip


async def test_a11_too_many_or_too_large_headers_are_refused():
    line = b"GET /health/live HTTP/1.1\r\n" + HOST
    await assert_refused(
        431,
        line + b"\r\nX-A: " + b"a" * 9000 + b"\r\n\r\n",
        line + b"\r\nX: 1" * 500 + b"\r\n\r\n",
        code="request.headers_too_large",
    )


async def test_a12_a_request_line_that_is_not_plain_http_1_is_refused():
    await assert_refused(
        400,
        b"POST /api/users HTTP/1.0\r\n" + HOST + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        *(
            line + b"\r\n" + HOST + b"\r\n\r\n"
            for line in (
                b"GET / HTTP/2.0", b"PRI * HTTP/2.0", b"GET\t/ HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ",
                b"GET http://shop.example/ HTTP/1.1", b"GET shop.example HTTP/1.1", b"GET / http/1.1", b"GET /",
                b"GET /#part HTTP/1.1", b"GET * HTTP/1.1", b"\r\nGET / HTTP/1.1", b"\x16\x03\x01\x02\x00\x01",
            )
        ),
    )  # fmt: skip


async def test_a15_a_body_over_the_limit_is_refused_and_so_is_one_that_is_packed():
    large = b'{"username": "' + b"x" * 20_000 + b'"}'
    await assert_refused(413, request(b"/api/users", method=b"POST", body=large), code="request.too_large")
    rpc = FakeRpc()
    async with serving(collaborators(rpc)) as client:
        port = client.base_url.port
        for packing in (b"gzip", b"br", b"deflate", b"gzip, identity", b"x"):
            heard = await said(
                port,
                request(b"/api/users", b"Content-Encoding: " + packing, method=b"POST", body=b"\x1f\x8b" * 50) + LAST,
            )
            assert heard.statuses == [415, 200], packing
    assert rpc.calls == []


async def test_a16_methods_that_nobody_needs_are_refused_with_those_that_work():
    async with serving(collaborators()) as client:
        for method in ("TRACE", "PROPFIND", "PATCH", "LOCK", "FOO"):
            answer = await client.request(method, "/api/products")
            assert answer.status_code == 405, method
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
            assert (await client.request(method, "/nowhere")).status_code == 404
        heard = await said(client.base_url.port, b"CONNECT shop.example:443 HTTP/1.1\r\n" + HOST + b"\r\n\r\n" + LAST)
        everything = await said(client.base_url.port, request(b"*", method=b"OPTIONS") + LAST)
    assert heard.statuses == [405]
    assert "GET" in heard.headers["allow"]
    assert everything.statuses == [204, 200]
    assert "PATCH" in everything.headers["allow"]


async def test_a16_a_get_may_bring_no_more_than_an_empty_object_and_an_override_overrides_nothing():
    rpc = FakeRpc(get_product=a_product_answer())
    async with serving(collaborators(rpc)) as client:
        with_body = await client.request("GET", "/api/products/7", json={"price": "0.01"})
        override = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE", "X-HTTP-Method": "DELETE"}
        overridden = await client.get("/api/products/7", headers=override)
        posted = await client.post("/api/products/7", headers=override, json={"_method": "DELETE"})

    assert (with_body.status_code, with_body.json()["errors"][0]["pointer"]) == (400, "/price")
    assert (overridden.status_code, posted.status_code) == (200, 405)
    assert [name for name, *_ in rpc.calls] == ["get_product"]


OTHER_WAYS = [
    b"//admin/routes", b"/admin//routes", b"/%2e%2e/admin/routes", b"/api/../admin/routes", b"/./admin/routes",
    b"/admin/routes%00", b"/admin/routes;jsessionid=1", b"/admin%2froutes", b"/admin%c0%afroutes", b"/ADMIN/routes",
    b"/admin/routes/..;/", b"/%ff", b"/admin/routes%20", b"/admin\\routes", b"/admin/routes//", b"/%25",
    b"/%0d%0aX-A:1",
]  # fmt: skip


async def test_a17_no_other_spelling_of_a_path_opens_it():
    headers = [f"Authorization: Bearer {a_token()}".encode(), b"Connection: close"]
    async with serving(collaborators()) as client:
        port = client.base_url.port
        for path in OTHER_WAYS:
            heard = await said(port, request(path, *headers))
            assert heard.statuses in ([404], [400]), (path, heard.text[:200])
        for path in (b"/admin/routes", b"/admin/routes/", b"/%61dmin/routes"):
            assert (await said(port, request(path, *headers))).statuses == [403], path


async def test_a17_a_line_of_eight_kilobytes_is_too_long():
    await assert_refused(414, request(b"/" + b"a" * 6000), request(b"/?q=" + b"a" * 8192), code="request.line_too_long")


async def test_a18_pipelined_requests_are_answered_in_order_and_none_after_the_close():
    rpc = FakeRpc(get_product=a_product_answer())
    asked = [request(b"/api/products/%d" % number) for number in range(1, 100)]
    async with serving(collaborators(rpc)) as client:
        heard = await said(client.base_url.port, b"".join(asked) + LAST + request(b"/api/products/666"))

    assert heard.statuses == [200] * 100
    assert heard.ended
    assert [arguments["product_id"] for _, arguments, _ in rpc.calls] == list(range(1, 100))


async def test_a18_for_a_client_that_has_gone_nothing_more_is_begun():
    begun, gate = [], asyncio.Event()

    async def get_product(arguments, _):
        begun.append(arguments["product_id"])
        await gate.wait()
        return a_product_answer()

    async with serving(collaborators(FakeRpc(get_product=get_product))) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"".join(request(b"/api/products/%d" % number) for number in range(1, 101)))
        await eventually_async(lambda: begun)
        writer.transport.abort()
        assert (await client.get("/health/live")).status_code == 200
        await asyncio.sleep(0.05)
        gate.set()
        assert (await client.get("/health/live")).status_code == 200

    assert begun == [1]
