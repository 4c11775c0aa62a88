import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.framing import violation_of

HOST = b"Host: shop.example\r\n"


def status_of(head: bytes) -> int:
    violation = violation_of(head.removesuffix(b"\r\n"))
    return violation.status if violation else 200


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
    violation = violation_of(head)

    assert violation is None or violation.status in {400, 411, 431}


@given(st.binary(max_size=40).filter(lambda value: any(byte < 9 or 10 <= byte < 32 or byte == 127 for byte in value)))
def test_no_control_character_gets_through_in_a_value(value):
    assert status_of(b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + value + b"\r\n") in {400, 431} or b"\r\n" in value
