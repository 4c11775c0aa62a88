import asyncio

from kirana.journey.load import request_bytes, run_load


async def with_server(answer, sources, seconds, seen):
    async def serve(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                seen.append(head.split(b"\r\n")[0] + b" " + await reader.readexactly(length))
                if answer is None:
                    break
                for part in (answer[:20], answer[20:]):
                    writer.write(part)
                    await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        return await run_load(url, sources, seconds)
    finally:
        server.close()


def run(answer, count=2, seconds=0.05, **request):
    seen = []
    given = {"method": "GET", "url": "http://x:1", "path": "/a", **request}
    content = request_bytes(**given)
    return asyncio.run(with_server(answer, [lambda: content] * count, seconds, seen)), seen


def test_every_answer_is_counted_with_its_status():
    measured, seen = run(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", seconds=1.0)

    assert measured.summary()["requests"] == len(seen) > 2
    assert measured.summary()["failed"] == 0


def test_a_body_reaches_the_server_whole():
    _, seen = run(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", method="POST", body={"a": 1})

    assert seen[0] == b'POST /a HTTP/1.1 {"a": 1}'


def test_refusals_count_as_failed():
    measured, _ = run(b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n")

    assert measured.summary()["failed"] == measured.summary()["requests"] > 0


def test_a_connection_that_breaks_counts_as_failed():
    measured, _ = run(None)

    assert measured.summary() == {
        "requests": 0, "requests_per_second": 0.0, "p50_ms": 0.0, "p99_ms": 0.0, "failed": 2, "statuses": {},
    }  # fmt: skip
