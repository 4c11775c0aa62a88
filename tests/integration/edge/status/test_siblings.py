import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from edge.live.current import LiveRoutes
from edge.pipeline import snapshot_of
from edge.routes import load
from edge.settings import Settings
from edge.status import siblings
from edge.status.picture import picture
from edge.status.siblings import Together, door_name
from tests.builders.waiting import eventually_async
from tests.fakes.edge import ROUTES, collaborators

pytestmark = pytest.mark.anyio

PORT = 40_000 + os.getpid() % 20_000


@pytest.fixture(scope="module")
def told():
    live = LiveRoutes(snapshot_of(load(ROUTES), "file"), compiling=snapshot_of)
    return picture(collaborators(), live)


def together(told, workers=3, port=PORT):
    urls = {"amqp_url": "amqp://", "redis_url": "redis://", "cursor_secret": "s" * 32}
    return Together(lambda: told, Settings(port=port, workers=workers, **urls))


@asynccontextmanager
async def a_sibling(told, port=PORT):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        Path(__file__).with_name("a_sibling.py"),
        str(port),
        orjson.dumps(told).decode(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])},
    )
    try:
        assert await process.stdout.readline() == b"open\n"
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


async def test_whichever_worker_is_met_tells_for_all_of_this_edge(told, monkeypatch):
    monkeypatch.setattr(siblings, "KEPT_SECONDS", 0.0)
    monkeypatch.setattr(siblings, "PATIENCE_SECONDS", 20)  # none of them hangs, but the machine may be busy
    other = told | {"worker": "0-1", "requests": 5}
    stranger = told | {"instance": "another-edge", "worker": "9-9"}
    asked = together(told | {"worker": "0-0", "requests": 2})

    async with a_sibling(other), a_sibling(stranger), a_sibling(other, PORT + 1):
        whole = orjson.loads(await asked.status())
    gone = orjson.loads(await asked.status())

    assert [(one["name"], one["requests"], one["told_this"]) for one in whole["workers"]] == [
        ("0-0", 2, True),
        ("0-1", 5, False),
    ]
    assert whole["traffic"]["total"] == 7
    assert (whole["silent_workers"], len(gone["workers"])) == (0, 1)


async def test_a_worker_that_hangs_is_counted_and_not_waited_for(told, monkeypatch):
    monkeypatch.setattr(siblings, "PATIENCE_SECONDS", 0.2)
    async with a_sibling(told) as sibling:
        sibling.send_signal(signal.SIGSTOP)
        stopped = Path(f"/proc/{sibling.pid}/stat")
        await eventually_async(lambda: stopped.read_text().rpartition(")")[2].split()[0] == "T")

        whole = orjson.loads(await together(told).status())

    assert (whole["silent_workers"], len(whole["workers"])) == (1, 1)


async def test_a_process_that_takes_the_name_of_a_worker_is_not_believed(told):
    impostor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    impostor.bind("\0" + door_name(PORT, 1))
    server = await asyncio.start_unix_server(
        lambda _, writer: (writer.write(orjson.dumps(told | {"worker": "evil"})), writer.close()), sock=impostor
    )
    try:
        whole = orjson.loads(await together(told).status())
    finally:
        server.close()

    assert "evil" not in {one["name"] for one in whole["workers"]}


async def test_a_single_worker_asks_nobody(told):
    async with a_sibling(told | {"worker": "0-1"}):
        whole = orjson.loads(await together(told, workers=1).status())

    assert len(whole["workers"]) == 1


async def test_who_asks_while_the_picture_is_made_gets_the_same_and_may_leave(told):
    made = []
    asked = together(told)
    asked._tell = lambda: made.append(1) or told
    first = asyncio.create_task(asked.status())
    second = asyncio.create_task(asked.status())
    await asyncio.sleep(0)
    first.cancel()

    assert orjson.loads(await second)["told_by"] == told["worker"]
    assert made == [1]
