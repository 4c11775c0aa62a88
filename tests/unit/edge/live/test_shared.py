# ruff: noqa: ARG002 - a fake takes what the real one takes
import asyncio

import pytest
from structlog.testing import capture_logs

from edge.live.shared import KEY, SharedTable, TableWatch

pytestmark = pytest.mark.anyio


class AtOnce:
    def uniform(self, a, b):
        return 0.0


class Scripted:
    """Consul that answers from a script, then blocks as it does when nothing changes."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = []
        self.done = asyncio.Event()

    async def value(self, key, *, index):
        assert key == KEY
        self.asked.append(index)
        if not self.script:
            self.done.set()
            await asyncio.Event().wait()
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Followed:
    def __init__(self):
        self.texts = []

    async def follow(self, text):
        self.texts.append(text)


async def watched(*script):
    consul, live = Scripted(*script), Followed()
    watching = asyncio.create_task(TableWatch(SharedTable(consul), live, dice=AtOnce()).run())
    async with asyncio.timeout(10):
        await consul.done.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return consul.asked, live.texts


async def test_every_state_of_the_key_is_handed_on_and_the_next_question_waits_for_a_change():
    asked, texts = await watched((3, None, 0), (7, b"a: 1", 7), (9, None, 0))

    assert texts == [None, "a: 1", None]
    assert asked == [None, 3, 7, 9]


async def test_consul_away_changes_nothing_is_said_once_and_then_asked_afresh():
    with capture_logs() as logs:
        asked, texts = await watched((7, b"a: 1", 7), OSError(), TimeoutError(), OSError(), (9, b"a: 2", 9))

    assert texts == ["a: 1", "a: 2"]
    assert asked == [None, 7, None, None, None, 9]
    assert [line["event"] for line in logs] == ["edge.key.not_followed", "edge.key.followed_again"]


async def test_bytes_that_are_no_text_are_handed_on_as_such():
    _, texts = await watched((7, b"a: \xff", 7))

    assert texts == ["a: \udcff"]
