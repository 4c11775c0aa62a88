"""Knows when each part of a stack truly answers, not merely runs."""

from __future__ import annotations

import smtplib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg2
import redis
from amqp import Connection as AmqpConnection
from amqp.exceptions import AMQPError

from kirana.calls import Calls, RemoteFault
from shared.contracts.exchanges import calls_queue
from shared.contracts.method import CheckHealth, Health, Methods
from shared.contracts.refusals import Refusal

Probe = Callable[[], str]
"""Gives an empty string when all is well, else what is wrong, in a few words."""

TIMEOUT_SECONDS = 3.0
ALIVE, READY = "/health/live", "/health/ready"
"""What an edge can be asked: whether it answers, and whether it can serve."""


def postgres(dsn: str) -> Probe:
    """A login and a query."""

    def probe() -> str:
        try:
            connection = psycopg2.connect(dsn, connect_timeout=int(TIMEOUT_SECONDS))
        except psycopg2.Error as fault:
            return _last_line(fault)
        connection.close()
        return ""

    return probe


def redis_server(url: str) -> Probe:
    """A login and a PING; a server that still loads its data does not count."""

    def probe() -> str:
        client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)
        try:
            client.ping()
        except redis.RedisError as fault:
            return _last_line(fault)
        finally:
            client.close()
        return ""

    return probe


def broker(url: str, *, queue: str = "", consumers: int = 1) -> Probe:
    """A login to the vhost; if a ``queue`` is named, so many take messages from it."""
    parts = urlsplit(url)

    def probe() -> str:
        connection = AmqpConnection(
            f"{parts.hostname}:{parts.port}",
            userid=parts.username,
            password=parts.password,
            virtual_host=parts.path[1:],
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
        )
        try:
            connection.connect()
            found = connection.channel().queue_declare(queue, passive=True).consumer_count if queue else consumers
            connection.close()
        except (OSError, AMQPError) as fault:
            return _last_line(fault)
        return "" if found >= consumers else f"{found} of {consumers} take from {queue}"

    return probe


def service(url: str, methods: Methods, *, instances: int = 1) -> Probe:
    """Every instance takes calls, and the one that got ours says that its own dependencies answer."""
    listening = broker(url, queue=calls_queue(methods.service), consumers=instances)

    def probe() -> str:
        try:
            return listening() or _ask(url, methods)
        except (Refusal, RemoteFault) as fault:
            return _last_line(fault)

    return probe


def _ask(url: str, methods: Methods) -> str:
    with Calls(Broker(url)) as calls:
        health: Health = calls.call(methods.CHECK_HEALTH, CheckHealth(), timeout=TIMEOUT_SECONDS)
    bad = [f"{name}: {state}" for name, state in health.dependencies.items() if state != "ok"]
    return "" if health.ok else ", ".join(bad) or "it says that it is not well"


@dataclass(frozen=True)
class Broker:
    """Just what :class:`kirana.calls.Calls` wants to know."""

    amqp: str


def consul(url: str) -> Probe:
    """The agent has a leader: itself."""

    def probe() -> str:
        status, body = _get(f"{url}/v1/status/leader")
        return "" if status == 200 and len(body) > 2 else f"no leader yet (status {status})"  # noqa: PLR2004 - ""

    return probe


def edge(url: str, question: str = READY) -> Probe:
    """Its readiness document says it can serve; otherwise the parts that cannot are named."""

    def probe() -> str:
        status, body = _get(f"{url}{question}")
        if status == 200:  # noqa: PLR2004 - OK
            return ""
        return body.decode(errors="replace")[:600] or "it does not answer"

    return probe


def smtp(url: str) -> Probe:
    """The sink greets."""
    parts = urlsplit(url)

    def probe() -> str:
        try:
            with smtplib.SMTP(parts.hostname or "", parts.port or 0, timeout=TIMEOUT_SECONDS) as client:
                client.noop()
        except (OSError, smtplib.SMTPException) as fault:
            return _last_line(fault)
        return ""

    return probe


def _get(url: str) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.read()
    except (OSError, ValueError):
        return 0, b""


def _last_line(fault: Exception) -> str:
    lines = str(fault).strip().splitlines()
    return lines[-1] if lines else type(fault).__name__
