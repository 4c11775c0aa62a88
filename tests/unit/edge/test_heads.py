"""What the head of an answer looks like, and what no value can do to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sanic.headers import format_http1_response
from sanic.response import HTTPResponse

from edge.heads import Dates, head_of


def test_it_is_what_sanic_writes():
    response = HTTPResponse(b"{}", status=201, headers={"x-one": "1", "x-ü": "ü"}, content_type="application/json")
    response.headers["content-length"] = 2
    del response.headers["x-ü"]
    response.headers.add("x-one", "again")
    fields = [*response.headers.items(), ("content-type", "application/json")]

    assert head_of(201, fields) == format_http1_response(201, response.processed_headers)


def test_a_status_without_a_name_has_a_line_too():
    assert head_of(599, []) == b"HTTP/1.1 599 Unknown\r\n\r\n"


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x", "a\nb", "a\rb", "a\0b", "\r\n\r\nHTTP/1.1 200 OK"])
def test_no_value_adds_a_line(value):
    head = head_of(200, [("x-given", value), ("x-last", "1")])

    assert head.count(b"\r\n") == 4
    assert head.endswith(b"\r\nx-last: 1\r\n\r\n")


@given(some.lists(some.tuples(some.text(max_size=20), some.text(max_size=40)), max_size=6))
def test_there_are_as_many_lines_as_fields(fields):
    head = head_of(200, fields)

    assert head.count(b"\n") == head.count(b"\r") == len(fields) + 2
    assert b"\0" not in head


def test_the_date_is_written_once_a_second_and_is_always_that_of_the_second():
    class Wall:
        at = 784_111_777.0

        def __call__(self):
            return self.at

    wall = Wall()
    dates = Dates(wall)
    first = dates.now()
    wall.at += 0.9
    same = dates.now()
    wall.at += 0.2
    later = dates.now()

    assert first == "Sun, 06 Nov 1994 08:49:37 GMT"  # the RFC's own example
    assert same is first
    assert dates.line() == f"date: {later}\r\n".encode()
    assert later == "Sun, 06 Nov 1994 08:49:38 GMT"
