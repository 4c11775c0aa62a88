"""When a broker is as good as gone: a link is given up for what it does not say while somebody waits for it."""

import asyncio
from types import SimpleNamespace

import pytest

from edge.rpc import link as link_module
from edge.rpc.failures import OutcomeUnknown
from edge.rpc.link import CONFIRM_SECONDS, Link

HOUR = 3600.0


class SilentBroker:
    """Confirms nothing, and each time a confirm is awaited to the end the clock goes on by so much."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        self.confirms = False
        monkeypatch.setattr(link_module, "time", SimpleNamespace(monotonic=lambda: self.now))

    async def basic_publish(self, *_, **__):
        if not self.confirms:
            self.now += CONFIRM_SECONDS
            raise TimeoutError


class NotBlocked:
    async def ready(self):
        """At once."""


@pytest.fixture
def broker(monkeypatch):
    return SilentBroker(monkeypatch)


def on_a_link(broker, scenario):
    async def run():
        link = Link(NotBlocked(), lambda _: None)
        link._requests = broker
        await scenario(link)

    asyncio.run(run())


async def is_lost_after_asking(link):
    try:
        await link.publish(b"", "catalog.batch", None, patience=5.0)
    except OutcomeUnknown:
        return link.lost.done()
    return False


def test_a_broker_that_confirms_nothing_is_given_up(broker):
    async def scenario(link):
        assert [await is_lost_after_asking(link) for _ in range(4)] == [False, False, False, True]

    on_a_link(broker, scenario)


def test_time_in_which_nothing_was_awaited_is_no_silence(broker):
    async def scenario(link):
        await is_lost_after_asking(link)
        broker.now += HOUR
        assert not await is_lost_after_asking(link)
        broker.now += HOUR
        assert not await is_lost_after_asking(link)

    on_a_link(broker, scenario)


def test_a_confirm_ends_the_silence(broker):
    async def scenario(link):
        for _ in range(3):
            broker.confirms = False
            await is_lost_after_asking(link)
            assert not await is_lost_after_asking(link)
            broker.confirms = True
            await is_lost_after_asking(link)

    on_a_link(broker, scenario)
