"""Run by a test, as its own process: does the hub go on while the journal waits for a slow disk?"""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

from eventlet import patcher, tpool  # noqa: E402

from rpc_services.cart.journal import Journal, Stored  # noqa: E402

ENOUGH_TICKS = 20
LONGEST_SECONDS = 20
sleep_natively = patcher.original("time").sleep


class Hub:
    """What everybody else does meanwhile."""

    ticks = 0


class SlowJournal(Journal):
    def _write(self, batch):
        """Until the hub has gone on for a while; seconds would pass also while this whole process is frozen."""
        enough, give_up_at = Hub.ticks + ENOUGH_TICKS, time.monotonic() + LONGEST_SECONDS
        while Hub.ticks < enough and time.monotonic() < give_up_at:
            sleep_natively(0.01)
        super()._write(batch)


def main():
    journal = SlowJournal(Path(sys.argv[1]), run=tpool.execute)

    def keep(number):
        journal.keep(Stored(owner=f"user:{number}", version=1, expires_at=2, fields="{}"), now=1)

    writers = [eventlet.spawn(keep, number) for number in range(30)]
    while not all(writer.dead for writer in writers):
        eventlet.sleep(0.01)
        Hub.ticks += 1
    for writer in writers:
        writer.wait()
    kept = sum(journal.read(f"user:{number}", now=1) is not None for number in range(30))
    print(kept, journal.commits, Hub.ticks)


main()
