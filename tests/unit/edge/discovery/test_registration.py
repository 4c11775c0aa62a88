# ruff: noqa: ARG002 - a fake takes what the real one takes
import asyncio

import pytest

from edge.discovery.registration import Registration, status_of
from edge.discovery.table import Instance
from shared.metrics.counting import consul
from shared.release import VERSION


class FakeAgent:
    """An agent with a memory that can be away, or lose it."""

    def __init__(self) -> None:
        self.checks: dict[str, str] = {}
        self.meta: dict[str, str] = {}
        self.is_away = False

    async def register(self, instance, *, check_id, ttl_seconds, meta):
        self._answer()
        self.checks[check_id] = "critical"
        self.meta = meta

    async def renew(self, check_id, status, note):
        self._answer()
        if check_id in self.checks:
            self.checks[check_id] = status
        return check_id in self.checks

    async def deregister(self, instance_id):
        self._answer()
        self.checks.clear()

    def _answer(self):
        if self.is_away:
            raise ConnectionRefusedError


class Pulse:
    def __init__(self) -> None:
        self.states = {"broker": "ok", "redis": "ok"}

    def dependencies(self):
        return self.states


class Scene:
    def __init__(self) -> None:
        self.agent = FakeAgent()
        self.pulse = Pulse()
        self.registration = Registration(
            self.agent, Instance("edge-1", "edge", "127.0.0.1", 8000, meta={"pid": "7"}), self.pulse
        )

    def beat(self) -> None:
        asyncio.run(self.registration.beat())


def test_the_first_beat_registers_and_says_how_it_is():
    scene = Scene()

    scene.beat()

    assert scene.agent.checks == {"service:edge-1": "passing"}


def test_an_agent_that_lost_its_memory_is_told_again():
    scene = Scene()
    scene.beat()
    scene.agent.checks.clear()

    scene.beat()
    scene.beat()

    assert scene.agent.checks == {"service:edge-1": "passing"}


def test_an_agent_that_is_away_is_no_reason_to_fail_and_is_found_again():
    scene = Scene()
    scene.agent.is_away = True
    scene.beat()
    assert consul.hears is False
    scene.agent.is_away = False

    scene.beat()

    assert scene.registration.is_held
    assert consul.hears is True


def test_whoever_looks_into_consul_sees_which_release_runs():
    scene = Scene()

    scene.beat()

    assert scene.agent.meta == {"pid": "7", "version": VERSION}


def test_leaving_takes_the_instance_out_even_if_the_agent_is_away():
    scene = Scene()
    scene.beat()

    asyncio.run(scene.registration.leave())
    scene.agent.is_away = True
    asyncio.run(scene.registration.leave())

    assert scene.agent.checks == {}


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({"broker": "ok", "redis": "ok"}, "passing"),
        ({"broker": "ok", "redis": "degraded"}, "warning"),
        ({"broker": "down", "redis": "ok"}, "critical"),
    ],
)
def test_without_the_broker_an_edge_is_critical_without_redis_it_only_limps(states, status):
    assert status_of(states) == status
