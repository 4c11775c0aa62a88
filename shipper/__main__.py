"""``python -m shipper``: reads its settings, makes sure that it is alone, and ships until it is told to stop."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from typing import Final

import structlog

from shared.logs import configure
from shared.logs.holding import FOLDER
from shared.metrics.listening import Listener
from shared.settings.reader import BadSettings
from shipper.batch import Bookkeeping
from shipper.dead_letters import DeadLetters
from shipper.delivery import Delivery
from shipper.elastic import connect
from shipper.folder import QUIET_SECONDS, Folder, prepare
from shipper.metering import Meters
from shipper.places import load
from shipper.settings import Settings, read_settings
from shipper.shipping import Shipper
from shipper.trouble import Trouble

TRY_LATER: Final = 75
"""``EX_TEMPFAIL``."""

log = structlog.get_logger()


class NotAlone(SystemExit):
    """Another shipper works on the spool."""


def ship(settings: Settings, *, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Ship until SIGTERM or SIGINT. Raises :class:`NotAlone`, and ``OSError`` when the spool cannot be used."""
    prepare(settings.spool, settings.disk_bytes)
    shipping = settings.spool / FOLDER
    alone = os.open(shipping / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.stderr.write(
            f"Another shipper works on {settings.spool}: stop that one, or name another KIRANA_LOG_SPOOL.\n"
        )
        raise NotAlone(TRY_LATER) from None
    meters = Meters()
    places, readable, lost = load(shipping)
    if not readable:
        log.error("shipping.places_unreadable", consequence="everything is sent again, under the same ids")
    if lost:
        meters.dropped("killed", lost)
        log.error("shipping.unknown", lines=lost)
    folder = Folder(settings.spool, places, meters, disk_bytes=settings.disk_bytes, quiet_seconds=quiet_seconds)
    books = Bookkeeping(places, DeadLetters(shipping), meters)
    shipper = Shipper(folder, books, meters, in_flight=settings.in_flight, drain_seconds=settings.drain_seconds)
    _run(shipper, meters, settings)


def _run(shipper: Shipper, meters: Meters, settings: Settings) -> None:
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: shipper.stop())
    abandon = threading.Event()
    if settings.metrics.port is not None:
        Listener(settings.metrics.host, settings.metrics.port, meters.rendered).start()
    client = connect(settings.destination, connections=settings.in_flight)
    log.info("shipping.started", to=", ".join(settings.destination.urls), spool=str(settings.spool))
    shipper.run(Delivery(client, Trouble(meters), abandon=abandon))
    abandon.set()


def main() -> None:
    """Run the shipper as its own process."""
    try:
        settings = read_settings(os.environ)
    except BadSettings as fault:
        sys.stderr.write(f"{fault}\n")
        raise
    configure(
        service="shipper",
        instance=settings.instance,
        environment=settings.environment,
        level=settings.level,
        spool=settings.spool,
    )
    ship(settings)


if __name__ == "__main__":
    main()
