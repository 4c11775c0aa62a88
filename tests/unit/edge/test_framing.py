import pytest
from hypothesis import given
from hypothesis import strategies as st
from sanic.compat import Header
from sanic.exceptions import SanicException

from edge.framing import FramingViolation, HeadReader, read_header

HOST = b"Host: shop.example\r\n"


def status_of(head: bytes) -> int:
    try:
        HeadReader().read(head.removesuffix(b"\r\n"))
    except SanicException as violation:
        return violation.status_code
    return 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + HOST,
        b"GET / HTTP/1.0\r\n",
        b"GET /a?b=%20 HTTP/1.1\r\nHost: [::1]:8000\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + HOST,
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-Name: Zoë\r\n".encode(),
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Empty:\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Tab:\ta\tb\t\r\n",
    ],
)
def test_a_proper_head_passes(head):
    assert status_of(head) == 200


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET / http/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET http://shop.example/ HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        "GET /ü HTTP/1.1".encode(),
        b"G(T / HTTP/1.1",
        b"GET /",
        b"",
    ],
)
def test_a_malformed_request_line_is_refused(line):
    assert status_of(line + b"\r\n" + HOST) == 400


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Host: a\r\nHost: b\r\n",
        b"Host: a\r\nhost: a\r\n",
        b"Host: a/b\r\n",
        b"Host: \r\n",
        b"Host: user@a\r\n",
        HOST + b"Content-Length : 5\r\n",
        HOST + b"Transfer-Encoding : chunked\r\n",
        HOST + b"X-A: 1\r\n folded\r\n",
        HOST + b"X-A: 1\nX-B: 2\r\n",
        HOST + b"X-A: 1\rX-B: 2\r\n",
        HOST + b"X-A: \x00\r\n",
        HOST + b"X-A: \x7f\r\n",
        HOST + b"X-A: \xff\r\n",
        HOST + b"no colon\r\n",
        HOST + b": no name\r\n",
        HOST + b"X A: 1\r\n",
        HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n",
        HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        HOST + b"Content-Length: 5, 5\r\n",
        HOST + b"Content-Length: +5\r\n",
        HOST + b"Content-Length: -5\r\n",
        HOST + b"Content-Length: 5_0\r\n",
        HOST + b"Content-Length: 0x5\r\n",
        HOST + b"Content-Length: 12345678901\r\n",
        HOST + "Content-Length: \u0665\r\n".encode(),
        HOST + b"Content-Length:\r\n",
        HOST + b"Transfer-Encoding: xchunked\r\n",
        HOST + b"Transfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_an_ambiguous_header_is_refused(headers):
    assert status_of(b"POST / HTTP/1.1\r\n" + headers) == 400


def test_a_chunked_body_is_refused_with_the_wish_for_a_length():
    assert status_of(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n") == 411


def test_a_chunked_body_in_http_1_0_is_malformed():
    assert status_of(b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n") == 400


def test_the_hundred_and_first_header_is_one_too_many():
    assert status_of(b"GET / HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n" * 99) == 200
    assert status_of(b"GET / HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n" * 100) == 431


@given(st.binary(max_size=300))
def test_no_bytes_make_the_check_itself_fail(head):
    assert status_of(head) in {400, 411, 431}


@given(st.binary(max_size=40).filter(lambda value: any(byte < 9 or 10 <= byte < 32 or byte == 127 for byte in value)))
def test_no_control_character_gets_through_in_a_value(value):
    assert status_of(b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + value + b"\r\n") in {400, 431} or b"\r\n" in value


def test_a_head_is_read_once_for_everybody():
    method, target, version, header = HeadReader().read(
        b"POST /a?b=%20 HTTP/1.1\r\nHost: a\r\nX-Name: \t Zo\xc3\xab \r\nContent-Length: 05"
    )

    assert (method, target, version, header.length) == ("POST", "/a?b=%20", "1.1", 5)
    assert header.fields == [("host", "a"), ("x-name", "Zoë"), ("content-length", "05")]


@pytest.mark.parametrize(
    ("version", "fields", "kept"),
    [
        ("1.1", b"", True),
        ("1.1", b"\r\nConnection: close", False),
        ("1.1", b"\r\nConnection: Upgrade", True),
        ("1.1", b"\r\nConnection: upgrade, Close", False),
        ("1.1", b"\r\nConnection: keep-alive\r\nConnection: close", False),
        ("1.0", b"", False),
        ("1.0", b"\r\nConnection: Keep-Alive", True),
    ],
)
def test_a_connection_is_kept_as_its_client_wishes(version, fields, kept):
    assert read_header(version, b"Host: a" + fields).keep_alive is kept


def test_an_expectation_that_nobody_knows_is_refused():
    assert status_of(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-Continue\r\nContent-Length: 5\r\n") == 200
    assert status_of(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: magic\r\nContent-Length: 5\r\n") == 417
    assert status_of(b"POST / HTTP/1.0\r\nExpect: magic\r\nContent-Length: 5\r\n") == 200, (
        "it means nothing in HTTP/1.0"
    )


def test_what_comes_later_on_a_connection_is_read_for_itself():
    heads = HeadReader()
    first = heads.read(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5")

    assert heads.read(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5") == first
    assert heads.read(b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 6")[3].length == 6
    assert heads.read(b"PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 6")[:2] == ("PUT", "/b")
    assert not heads.read(b"PUT /b HTTP/1.0\r\nHost: a\r\nContent-Length: 6")[3].keep_alive
    with pytest.raises(FramingViolation):
        heads.read(b"PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: -6")


def test_two_requests_never_share_their_fields():
    """Whoever changes those of one request must not reach into the next."""
    heads = HeadReader()
    first, second = (Header(heads.read(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1")[3].fields) for _ in range(2))
    first["x-a"] = "changed"

    assert second["x-a"] == "1"
