"""Tells Consul that this process lives and how it is; nothing here ever waits for Consul or depends on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import eventlet
import structlog
from consul.check import Check
from consul.exceptions import ConsulException
from consul.std import Consul
from eventlet.support.greenlets import GreenletExit
from requests import RequestException

from rpc_services.attendance import Attendance
from shared.contracts.maintenance import WAIT_SECONDS, key_of, read_maintenance
from shared.contracts.method import Health
from shared.metrics import counting
from shared.nameko_ext.health import BROKER, OK, HealthReport, report_on
from shared.release import VERSION

log = structlog.get_logger()

BEAT_SECONDS = 3.0
TTL = "10s"
FORGET_AFTER = "10m"
FOLLOW_PAUSE_SECONDS = 0.2
"""Between two questions, however often Consul answers."""
ANSWER_SECONDS = 2.0
DEFAULT_PORT = 8500
SERVER_PATIENCE_SECONDS = WAIT_SECONDS / 16 + 2 * ANSWER_SECONDS
"""Consul answers a waiting question up to a sixteenth later than asked."""


@dataclass(frozen=True)
class Agent:
    """Where Consul's agent is (nowhere, if empty), and what this process shows it."""

    url: str = ""
    token: str = field(default="", repr=False)


class Registration:
    """One service instance in Consul's catalogue, kept alive by a heart-beat that carries the health report."""

    def __init__(self, container: Any, instance: str, agent: Agent) -> None:
        self._container = container
        self._instance = instance
        self._service: str = container.service_name
        self._id = f"{self._service}-{instance}"
        self._consul = _client(agent) if agent.url else None
        self._beating: Any = None
        self._following: Any = None
        self._attendance = Attendance(container, on_change=self._beat_now)
        self._registered = False
        self._away = False

    def start(self) -> None:
        """Begin to beat, if there is a Consul at all."""
        if self._consul is not None:
            self._beating = eventlet.spawn(self._beat_for_ever)
            self._following = eventlet.spawn(self._follow_for_ever)

    def stop(self) -> None:
        """Leave the catalogue before the service stops to take calls."""
        if self._consul is None:
            return
        self._following.kill()
        self._beating.kill()
        try:
            with eventlet.Timeout(ANSWER_SECONDS, TimeoutError("Consul does not answer")):
                self._consul.agent.service.deregister(self._id)
        except (ConsulException, RequestException, OSError) as fault:
            log.info("consul.not_left", reason=type(fault).__name__)

    def _beat_for_ever(self) -> None:
        while True:
            try:
                with eventlet.Timeout(2 * ANSWER_SECONDS, TimeoutError("Consul does not answer")):
                    self._beat()
                self._away = False
                counting.consul.hears = True
            except GreenletExit:
                raise
            except Exception as fault:  # noqa: BLE001  # Consul is advice: whatever is wrong with it, go on
                self._registered = False
                if not self._away:
                    log.warning("consul.away", reason=f"{type(fault).__name__}: {fault}"[:200])
                self._away = True
                counting.consul.hears = False
            eventlet.sleep(BEAT_SECONDS)

    def _beat_now(self) -> None:
        """So that who takes an instance out need not wait to see it."""
        self._beating.kill()
        self._beating = eventlet.spawn(self._beat_for_ever)

    def _follow_for_ever(self) -> None:
        """Consul away: the last wish counts."""
        index: str | None = None
        while True:
            try:
                with eventlet.Timeout(WAIT_SECONDS + SERVER_PATIENCE_SECONDS, TimeoutError("Consul does not answer")):
                    index = self._follow(index)
            except GreenletExit:
                raise
            except Exception as fault:  # noqa: BLE001  # as above; the beat has told of it already
                log.debug("consul.not_followed", reason=type(fault).__name__)
                index = None
                eventlet.sleep(BEAT_SECONDS)
            eventlet.sleep(FOLLOW_PAUSE_SECONDS)

    def _follow(self, index: str | None) -> str | None:
        consul: Any = self._consul
        wait = f"{WAIT_SECONDS}s" if index else None
        seen, found = consul.kv.get(key_of(self._instance), index=index, wait=wait, consistency="consistent")
        self._attendance.follow(read_maintenance(found and (found["Value"] or b"")))
        return None if index is not None and int(seen) < int(index) else str(seen)

    def _beat(self) -> None:
        """Any failure, such as an agent that restarted and forgot us, leads to a new registration."""
        health = health_of(self._container)
        consul: Any = self._consul
        if not self._registered:
            consul.agent.service.register(
                self._service,
                service_id=self._id,
                tags=["rpc"],
                meta={"version": VERSION},
                check={
                    **Check.ttl(TTL),
                    "CheckID": f"service:{self._id}",
                    "DeregisterCriticalServiceAfter": FORGET_AFTER,
                },
            )
            self._registered = True
            log.info("consul.registered", id=self._id)
        out = self._attendance.note
        say = getattr(consul.agent.check, "ttl_fail" if out else verdict(health))
        if not say(f"service:{self._id}", notes=out or note(health)):
            raise ConsulException("the check is unknown")


def health_of(container: Any) -> Health:
    """What the service in ``container`` says of itself."""
    for provider in container.dependencies:
        if isinstance(provider, HealthReport):
            return provider.report()
    return report_on(container, (), {})


def verdict(health: Health) -> str:
    """How the check is set: critical only when no call can arrive, for one sick database must not empty a catalogue."""
    if health.ok:
        return "ttl_pass"
    return "ttl_warn" if health.dependencies.get(BROKER) == OK else "ttl_fail"


def note(health: Health) -> str:
    """Each dependency and how it is."""
    return ", ".join(f"{name}: {outcome}" for name, outcome in sorted(health.dependencies.items()))


def _client(agent: Agent) -> Consul:
    parts = urlsplit(agent.url)
    return Consul(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or DEFAULT_PORT,
        scheme=parts.scheme or "http",
        token=agent.token or None,
        connections_timeout=ANSWER_SECONDS,
    )
