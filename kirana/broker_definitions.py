"""Gives a running broker its users, rights, exchanges and queues: ``python -m kirana.broker_definitions``.

docker-compose.yml runs it once before the services, for a broker that has run since before the last upgrade, and
Kubernetes with the migrations: there with ``rabbitmq/definitions.json``, which knows no password; users stay.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kirana.stack.definitions import render_without_users
from shared.settings.reader import Reader

ANSWER_SECONDS = 15
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 1


class Refused(Exception):
    """The broker read the definitions and does not take them; asking again will not help."""


def give(management: str, user: str, password: str, definitions: bytes) -> None:
    """Import ``definitions``; what is there stays. Raises :class:`Refused`, or ``OSError`` where nobody answers."""
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        f"{management}/api/definitions",
        data=definitions,
        method="POST",
        headers={
            "Content-Type": "application/json",
            "Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode(),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310 - as above
            return
    except urllib.error.HTTPError as fault:
        with fault:
            raise Refused(_reason(fault)) from None


def _reason(fault: urllib.error.HTTPError) -> str:
    try:
        told = json.loads(fault.read() or b"{}")
    except ValueError:
        told = {}
    return str(told.get("reason", fault.reason)) if isinstance(told, dict) else str(fault.reason)


def main(environment: Mapping[str, str], *, patience: float = PATIENCE_SECONDS) -> int:
    """Exit status 0 when the broker has everything, 1 when it refuses, 75 (``EX_TEMPFAIL``) when it never answers.

    78 (``EX_CONFIG``) when there is nothing to give.
    """
    reader = Reader(environment)
    operator = urlsplit(reader.read("AMQP_URL", str, ""))
    management = reader.read("MANAGEMENT_URL", str, "http://rabbitmq:15672").rstrip("/")
    definitions = reader.read("DEFINITIONS", Path, Path("/run/secrets/rabbitmq_definitions"))
    template = reader.read("DEFINITIONS_TEMPLATE", str, "")
    reader.finish()
    try:
        text = render_without_users(Path(template)).encode() if template else definitions.read_bytes()
    except OSError as fault:
        sys.stderr.write(f"The definitions cannot be read: {fault}. Next: kirana secrets\n")
        return 78
    give_up_at = time.monotonic() + patience
    while True:
        try:
            give(management, unquote(operator.username or ""), unquote(operator.password or ""), text)
        except Refused as fault:
            sys.stderr.write(f"The broker refuses its definitions: {fault}\n")
            return 1
        except OSError as fault:
            if time.monotonic() > give_up_at:
                sys.stderr.write(f"The broker's management does not answer at {management}: {fault}\n")
                return 75
            time.sleep(PAUSE_SECONDS)
        else:
            sys.stdout.write("The broker has its definitions.\n")
            return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
