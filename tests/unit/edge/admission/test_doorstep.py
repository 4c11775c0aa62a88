"""While there is no room, readers are turned away before anything is made of their requests, and told the truth."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from edge.admission.door import Admission
from edge.admission.doorstep import Doorstep
from edge.framing import read_header
from edge.pipeline import equip
from shared.resilience.adaptive import LimitPolicy
from tests.fakes.edge import FakeRpc, collaborators, serving

pytestmark = pytest.mark.anyio

CATEGORIES = "/api/categories"
OF_ONE_REQUEST = {"x-request-id", "server-timing", "retry-after", "date"}


@pytest.fixture
def parts():
    """An edge whose catalog has no room for readers."""
    parts = collaborators(FakeRpc(list_categories=[], get_product=None))
    object.__setattr__(parts, "admission", Admission(LimitPolicy(first=4, least=4)))
    for _ in range(3):
        parts.admission.limit_of("catalog").enter()
    return parts


def lines(logs):
    return [line for line in logs if line["event"] == "http.request"]


async def test_the_first_is_refused_inside_and_those_after_it_are_told_the_same_at_the_door(parts):
    async with serving(parts) as client:
        with capture_logs() as logs:
            inside, outside = [await client.get(f"{CATEGORIES}?n={n}", headers={"Origin": "a"}) for n in range(2)]

    of_inside, of_outside = lines(logs)
    assert (inside.status_code, outside.status_code) == (503, 503)
    assert outside.json() == inside.json() | {"request_id": outside.headers["x-request-id"]}
    plain, quick = ({k: v for k, v in a.headers.items() if k not in OF_ONE_REQUEST} for a in (inside, outside))
    assert quick == plain
    assert all(outside.headers[name] for name in OF_ONE_REQUEST)
    said = of_outside.keys() - {"http.request.id", "requests"}
    assert {name: of_outside[name] for name in said} == {name: of_inside[name] for name in said}
    assert of_outside["http.request.id"] == outside.headers["x-request-id"]
    assert parts.admission.limit_of("catalog").refused == [0, 0, 0, 2]


async def test_those_of_one_turn_share_a_line_that_has_all_their_ids(parts):
    async with serving(parts) as client:
        door = Doorstep(equip(client.live, parts))
        with capture_logs() as logs:
            for number in range(3):
                assert door.turn_away(
                    "GET", CATEGORIES, read_header("1.1", f"Host: a\r\nX-Request-ID: r{number}".encode())
                )
            await asyncio.sleep(0)

    (line,) = lines(logs)
    assert (line["http.request.id"], line["requests"]) == (["r0", "r1", "r2"], 3)


async def test_when_there_is_room_again_the_next_one_is_served_on_the_same_connection(parts):
    async with serving(parts) as client:
        refused = [(await client.get(CATEGORIES)).status_code for _ in range(3)]
        parts.admission.limit_of("catalog").leave("list_categories", 0.0)
        served = await client.get(CATEGORIES)

    assert (refused, served.status_code) == ([503] * 3, 200)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/health/live", 200), ("GET", "/nowhere", 404), ("HEAD", CATEGORIES, 503), ("DELETE", CATEGORIES, 405)],
)
async def test_what_is_no_plain_read_takes_the_usual_way(parts, method, path, status):
    async with serving(parts) as client:
        await client.get(CATEGORIES)
        answer = await client.request(method, path)

    assert answer.status_code == status
    assert not answer.content or method != "HEAD"


async def test_requests_that_were_sent_together_are_answered_in_order(parts):
    async with serving(parts) as client:
        await client.get(CATEGORIES)
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        for number in range(20):
            path = CATEGORIES if number % 3 else "/health/live"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Request-ID: number-{number}\r\n\r\n".encode())
        ids = [await _answered(reader) for _ in range(20)]
        writer.close()

    assert ids == [(503 if number % 3 else 200, f"number-{number}") for number in range(20)]


async def _answered(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in head[1:] if line)
    await reader.readexactly(int(fields["content-length"]))
    return int(head[0].split()[1]), fields["x-request-id"]


async def test_who_hangs_up_after_a_refusal_leaves_nothing_behind(parts):
    async with serving(parts) as client:
        await client.get(CATEGORIES)
        for _ in range(5):
            reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
            writer.write(f"GET {CATEGORIES} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await _answered(reader)
            writer.close()
            await writer.wait_closed()
        with capture_logs() as logs:
            assert (await client.get("/health/live")).status_code == 200

    assert [line for line in logs if line.get("log_level") == "error"] == []


async def test_who_may_not_come_at_all_is_told_so_and_takes_no_part_in_the_crowd(parts):
    object.__setattr__(parts, "settings", replace(parts.settings, denied=["127.0.0.1/32"]))
    async with serving(parts) as client:
        parts.admission.crowd()
        door = Doorstep(equip(client.live, parts))

        assert door.turn_away("GET", CATEGORIES, read_header("1.1", b"Host: a")) is None

    assert parts.admission.limit_of("catalog").refused == [0, 0, 0, 0]


ORIGIN = "https://shop.example"
ALLOWED = "access-control-allow-origin"


@pytest.mark.parametrize(
    ("sent", "origin", "request_id"),
    [
        ([("Origin", ORIGIN), ("X-Request-ID", "r1")], ORIGIN, "r1"),
        ([("Origin", ORIGIN), ("Origin", ORIGIN), ("X-Request-ID", "r1"), ("X-Request-ID", "r1")], None, None),
        ([("Origin", ORIGIN), ("Origin", ""), ("X-Request-ID", "r1"), ("X-Request-ID", "")], None, None),
    ],
    ids=["once", "twice", "beside nothing"],
)
async def test_what_may_stand_only_once_counts_at_the_door_as_it_does_inside(parts, sent, origin, request_id):
    object.__setattr__(parts, "settings", replace(parts.settings, cors_origins=[ORIGIN]))
    async with serving(parts) as client:
        answers = [await client.get(CATEGORIES, headers=sent) for _ in range(2)]
        at_the_door = parts.admission.limit_of("catalog").refused

    assert at_the_door == [0, 0, 0, 2]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert [answer.headers.get(ALLOWED) for answer in answers] == [origin] * 2
    assert [answer.headers["x-request-id"] == "r1" for answer in answers] == [request_id == "r1"] * 2


async def test_after_the_last_answer_of_a_connection_nothing_is_taken_for_a_request(parts):
    async with serving(parts) as client:
        parts.admission.crowd()
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        writer.write(f"GET {CATEGORIES} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        told = await reader.read()
        writer.close()

    assert told.count(b"HTTP/1.1 ") == 1
    assert told.startswith(b"HTTP/1.1 200")
