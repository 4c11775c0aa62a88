"""A service that does not want to switch has answered, whichever way it says where its answer ends."""

import asyncio

import pytest

from edge.upstreams.refusals import MOST_REFUSAL_BYTES, refusal_of

pytestmark = pytest.mark.anyio
CHUNKED = ("transfer-encoding", "chunked")
TYPED = ("content-type", "text/plain")


async def refused(rest, *fields, status=401, ends=True):
    reader = asyncio.StreamReader(limit=16_384)
    reader.feed_data(rest)
    if ends:
        reader.feed_eof()
    return await refusal_of(reader, status, [TYPED, *fields])


@pytest.mark.parametrize(
    ("rest", "fields"),
    [
        (b"no no", [("content-length", "5")]),
        (b"no no and more", [("content-length", "5"), ("content-length", "5")]),
        (b"5\r\nno no\r\n0\r\n\r\n", [CHUNKED]),
        (b"2;why=not\r\nno\r\n003\r\n no\r\n0\r\nx: y\r\n\r\n", [("transfer-encoding", "Chunked")]),
        (b"no no", []),
    ],
    ids=["of known length", "said twice", "chunked", "in several chunks", "to the end"],
)
async def test_its_body_is_passed_on(rest, fields):
    answer = await refused(rest, *fields)

    assert (answer.status, answer.body, answer.headers["content-type"]) == (401, b"no no", "text/plain")
    assert "transfer-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("rest", "fields"),
    [
        (b"no", [("content-length", "5")]),
        (b"no no", [("content-length", "five")]),
        (b"no no", [("content-length", "5"), ("content-length", "4")]),
        (b"x" * (MOST_REFUSAL_BYTES + 1), [("content-length", str(MOST_REFUSAL_BYTES + 1))]),
        (b"x" * (MOST_REFUSAL_BYTES + 1), []),
        (b"fffff\r\n" + b"x" * 0xFFFFF, [CHUNKED]),
        (b"8000\r\n" + b"x" * 0x8000 + b"\r\n8001\r\n" + b"x" * 0x8001 + b"\r\n0\r\n\r\n", [CHUNKED]),
        (b"5\r\nno no, no\r\n0\r\n\r\n", [CHUNKED]),
        (b"no no", [CHUNKED]),
        (b"1;" + b"x" * 20_000, [CHUNKED]),
        (b"5\r\nno no\r\n0\r\n\r\n", [CHUNKED, ("content-length", "5")]),
        (b"no no", [("transfer-encoding", "gzip")]),
    ],
    ids=[
        "cut", "no length", "two lengths", "too long", "too long to the end", "too long a chunk", "too many chunks",
        "overlong chunk", "no chunk", "no end of a line", "both", "another coding",
    ],
)  # fmt: skip
async def test_a_body_that_is_not_to_be_had_is_left_out_and_the_status_stays(rest, fields):
    answer = await refused(rest, *fields, ("x-why", "rules"), ("content-encoding", "identity"))

    assert (answer.status, answer.body, answer.headers["x-why"]) == (401, b"", "rules")
    assert not [name for name in answer.headers if name.startswith("content-")]


async def test_nobody_waits_for_a_body_that_does_not_end():
    answer = await refused(b"no", ends=False)

    assert (answer.status, answer.body) == (401, b"")


@pytest.mark.parametrize("status", [204, 304])
async def test_where_there_is_no_body_nobody_waits_for_one(status):
    answer = await refused(b"", ("content-length", "5"), status=status, ends=False)

    assert (answer.status, answer.body) == (status, b"")


@pytest.mark.parametrize("status", [100, 103, 199])
async def test_what_is_no_last_word_is_no_answer(status):
    with pytest.raises(ValueError, match="nobody asked for"):
        await refused(b"", status=status)
