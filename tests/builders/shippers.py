"""Shippers under test: real processes, begun in an instant, as they are forked from one that has imported all."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson

from tests.builders.waiting import eventually
from tests.builders.whole_lines import whole_lines

ROOT = Path(__file__).parents[2]
ENDING_SECONDS = 90


class Nursery:
    """Starts shippers with the same settings, one after the other."""

    def __init__(self, spool, url, **settings):
        self.spool = spool
        self._settings = {
            "KIRANA_LOG_SPOOL": str(spool), "KIRANA_ELASTICSEARCH_URL": url, "KIRANA_ELASTICSEARCH_TIMEOUT": "20",
            "KIRANA_LOG_LEVEL": "error",
            "KIRANA_SHIPPER_DRAIN_SECONDS": "60", **settings,
        }  # fmt: skip
        self._process = None
        self._pid = 0

    def __enter__(self):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **self._settings}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_fault):
        self.end(signal.SIGKILL)
        self._process.stdin.close()
        self._process.wait(ENDING_SECONDS)
        self._process.stdout.close()

    def start(self):
        self._process.stdin.write("start\n")
        self._process.stdin.flush()
        self._pid = int(self._process.stdout.readline())
        return self._pid

    def end(self, how=signal.SIGTERM):
        """Returns when it is gone."""
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, how)
            _await_end(self._pid)
            self._pid = 0

    def drain(self):
        self.end(signal.SIGTERM)

    def start_and_wait(self):
        """Returns when it would drain if it were told to end."""
        self.start()
        eventually(self._minds_signals, what="the shipper's start")

    def _minds_signals(self):
        found = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{self._pid}/status").read_text(), re.MULTILINE)
        return int(found[1], 16) >> (signal.SIGTERM - 1) & 1

    @contextmanager
    def shipping(self):
        self.start_and_wait()
        yield self
        self.drain()

    @property
    def cpu_seconds(self):
        """What it has used of a processor so far."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def totals(self):
        """What became of every line below the places."""
        return self.places()["totals"]

    def settled(self):
        """How many lines have a verdict."""
        try:
            return sum(self.totals().values())
        except FileNotFoundError:
            return 0

    def places(self):
        return orjson.loads((self.spool / ".shipping" / "places.json").read_bytes())

    def dead_letters(self):
        return [orjson.loads(line) for line in whole_lines(self.spool / ".shipping", "dead-letters*.jsonl")]

    def held_bytes(self):
        total = 0
        for path in (self.spool / ".shipping" / "held").glob("*"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total


def _await_end(pid):
    give_up_at = time.monotonic() + ENDING_SECONDS
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < give_up_at, "the shipper did not end"
        time.sleep(0.002)


def _breed():
    from shared.logs import configure
    from shipper.__main__ import ship
    from shipper.settings import read_settings

    settings = read_settings(os.environ)
    configure(service="shipper", instance="shipper-1", level=settings.level, stdout=2)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                ship(settings, quiet_seconds=0.5)
            finally:
                os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    _breed()
