"""Runs one service as a process: settings, logs, Consul, Nameko's container, and an orderly end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import eventlet
import kombu.pools
import structlog
from eventlet.event import Event
from nameko import config

from rpc_services import SERVICES, health_file
from rpc_services.registration import Agent, Registration, health_of
from rpc_services.workers import MAX_WORKERS
from shared import logs
from shared.garbage import leave_out_what_lives
from shared.metrics.counting import registry
from shared.metrics.listening import Listener
from shared.metrics.rendering import rendered
from shared.metrics.settings import OFF, MetricsAddress, read_metrics_address
from shared.nameko_ext.container import ServiceContainer
from shared.nameko_ext.metrics import ContainerState
from shared.settings.reader import BadSettings, Reader, positive
from shared.tracing.processes import begin_recording
from shared.tracing.settings import TracingSettings, read_tracing_settings

log = structlog.get_logger()

USAGE = f"usage: python -m rpc_services {{{','.join(SERVICES)}}} [migrate]  |  python -m rpc_services {{healthy,alive}}"
EX_USAGE = 64
HEARTBEAT_SECONDS = 10


@dataclass(frozen=True)
class ProcessSettings:
    """What every service process needs to know, whatever it does."""

    service: str
    instance: str
    amqp_url: str
    max_workers: int
    consul: Agent
    environment: str
    log_level: str
    log_spool: Path | None
    health_file: Path | None = None
    metrics: MetricsAddress = OFF
    tracing: TracingSettings | None = None

    def __repr__(self) -> str:
        """Without the broker's password."""
        return f"ProcessSettings(service={self.service!r}, instance={self.instance!r})"


def read_process_settings(service: str, environ: Mapping[str, str]) -> ProcessSettings:
    """Read them. Raises :class:`BadSettings` with every fault."""
    reader = Reader(environ)
    spool = reader.read("LOG_SPOOL", str, "")
    report = reader.read("HEALTH_FILE", str, "")
    settings = ProcessSettings(
        service=service,
        instance=reader.read("INSTANCE", str, f"{service}-{_this_process()}"),
        amqp_url=reader.read("AMQP_URL", str),
        max_workers=reader.read("MAX_WORKERS", positive, MAX_WORKERS),
        consul=Agent(reader.read("CONSUL_URL", str, ""), reader.read("CONSUL_TOKEN", str, "")),
        environment=reader.read("ENVIRONMENT", str, "local"),
        log_level=reader.read("LOG_LEVEL", str, "info"),
        log_spool=Path(spool) if spool else None,
        health_file=Path(report) if report else None,
        metrics=read_metrics_address(reader),
        tracing=read_tracing_settings(reader),
    )
    reader.finish()
    return settings


def _this_process() -> str:
    """Every container has a process 7: the machine's name tells them apart."""
    return f"{socket.gethostname().partition('.')[0][:32]}-{os.getpid()}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    match list(sys.argv[1:] if arguments is None else arguments):
        case [service] if service in SERVICES:
            _run_named(service)
        case _:
            sys.stderr.write(f"{USAGE}\n")
            raise SystemExit(EX_USAGE)


def _run_named(service: str) -> None:
    module = import_module(f"rpc_services.{service}.service")
    try:
        run(module.Service, os.environ)
    except BadSettings as fault:
        sys.stderr.write(f"{fault}\n")
        raise


def run(service_class: type, environ: Mapping[str, str]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises :class:`BadSettings` before anything is started."""
    settings = read_process_settings(str(service_class.name), environ)  # type: ignore[attr-defined]  # Nameko's habit
    logs.configure(
        service=settings.service,
        instance=settings.instance,
        environment=settings.environment,
        level=settings.log_level,
        spool=settings.log_spool,
    )
    configure_nameko(settings)
    tracing = begin_recording(
        settings.tracing, service=settings.service, instance=settings.instance, environment=settings.environment
    )
    Process(ServiceContainer(service_class), settings).run()
    if tracing is not None:
        tracing.close()


def configure_nameko(settings: ProcessSettings) -> None:
    """Fill Nameko's global configuration: its own defaults would prefetch 10 and beat once a minute."""
    kombu.pools.set_limit(settings.max_workers)  # type: ignore[no-untyped-call]  # kombu carries few types
    config.setup(
        {
            "AMQP_URI": settings.amqp_url,
            "INSTANCE": settings.instance,
            "max_workers": settings.max_workers,
            "PREFETCH_COUNT": settings.max_workers,
            "HEARTBEAT": HEARTBEAT_SECONDS,
            "serializer": "json",
            "ACCEPT": ["json"],
        }
    )


class Process:
    """A container, its registration and the signals that end it."""

    def __init__(self, container: ServiceContainer, settings: ProcessSettings) -> None:
        self._container = container
        self._settings = settings
        self._asked_to_stop = Event()
        self._registration = Registration(container, settings.instance, settings.consul)

    def run(self) -> None:
        """Start, wait for a signal or the container's death, stop in order."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._on_signal)
        self._container.start()
        self._registration.start()
        self._listen()
        reporting = eventlet.spawn(self._report_for_ever)
        leave_out_what_lives()
        log.info("service.started", workers=self._settings.max_workers)
        waiting = eventlet.spawn(self._container.wait)
        waiting.link(lambda _: self._ask_to_stop())
        self._asked_to_stop.wait()
        log.info("service.stopping")
        self._stop_reporting(reporting)
        self._registration.stop()
        self._container.stop()
        waiting.wait()
        log.info("service.stopped")

    def _listen(self) -> None:
        """For Prometheus, until the process ends."""
        host, port = self._settings.metrics.host, self._settings.metrics.port
        if port is not None:
            sources = [registry, ContainerState(self._container)]
            Listener(host, port, lambda: rendered(sources)).start()

    def _report_for_ever(self) -> None:
        """For health checks of containers, whether there is a Consul or not."""
        path = self._settings.health_file
        while path is not None:
            health = health_of(self._container)
            with suppress(OSError):  # a report that cannot be written grows stale, which is what it should say
                health_file.write_report(path, ok=health.ok, dependencies=health.dependencies)
            eventlet.sleep(health_file.BEAT_SECONDS)

    def _stop_reporting(self, reporting: Any) -> None:
        reporting.kill()
        if self._settings.health_file is not None:
            with suppress(OSError):
                self._settings.health_file.unlink(missing_ok=True)

    def _on_signal(self, number: int, frame: Any) -> None:
        """Signal handlers run inside the hub and may not switch greenlets."""
        del number, frame
        eventlet.spawn_n(self._ask_to_stop)

    def _ask_to_stop(self) -> None:
        if not self._asked_to_stop.ready():
            self._asked_to_stop.send(None)
