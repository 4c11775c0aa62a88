"""Run by a test, as its own process: does the hub go on while the journal waits for a slow disk?"""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from eventlet import patcher, tpool  # noqa: E402

from rpc_services.cart.journal import Journal, Stored  # noqa: E402

SLOW = 0.3
sleep_natively = patcher.original("time").sleep


class SlowJournal(Journal):
    def _write(self, batch):
        sleep_natively(SLOW)
        super()._write(batch)


def main():
    journal = SlowJournal(Path(sys.argv[1]), run=tpool.execute)
    ticks = 0

    def keep(number):
        journal.keep(Stored(owner=f"user:{number}", version=1, expires_at=2, fields="{}"), now=1)

    writers = [eventlet.spawn(keep, number) for number in range(30)]
    while not all(writer.dead for writer in writers):
        eventlet.sleep(0.01)
        ticks += 1
    for writer in writers:
        writer.wait()
    kept = sum(journal.read(f"user:{number}", now=1) is not None for number in range(30))
    print(kept, journal.commits, ticks)


main()
