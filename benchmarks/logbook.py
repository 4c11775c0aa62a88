"""How long ``kirana logs`` looks through a large spool: ``python benchmarks/logbook.py [MIB]`` (1,024 by default).

Writes a spool of that size to a temporary folder, of lines as services write them, and looks for one request by its
id, for a part of an id, for errors, for a text, and for what failed.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kirana.logbook import Query, entries
from kirana.logbook.identifying import sought
from kirana.logbook.summaries import failures

FILE_BYTES = 64 * 2**20
_DICE = random.Random(1)


def main(mebibytes: int) -> None:
    """Print a row per question."""
    with tempfile.TemporaryDirectory(prefix="kirana-logbook-") as folder:
        spool = Path(folder)
        wanted = _write(spool, mebibytes * 2**20)
        size = sum(path.stat().st_size for path in spool.iterdir()) / 2**30
        print(f"{size:.2f} GiB in {len(list(spool.iterdir()))} files")
        questions: dict[str, Callable[[], Iterable[Any]]] = {
            "a request by its id": lambda: sought(spool, wanted).lines,
            "a part of an id": lambda: sought(spool, wanted[4:20]).lines,
            "an id with a slip": lambda: sought(spool, wanted[:-1] + "x").candidates,
            "errors": lambda: entries(spool, Query(level="error")),
            "a text": lambda: entries(spool, Query(text="deadlock detected")),
            "what failed": lambda: failures(spool, Query(), 20),
        }
        for name, ask in questions.items():
            began = time.perf_counter()
            found = len(list(ask()))
            print(f"{name:24} {time.perf_counter() - began:6.2f} s   {found:,} found")


def _write(spool: Path, size: int) -> str:
    """The id of a request in the middle of it."""
    block, wanted = _block(), ""
    for number in range(max(1, size // FILE_BYTES)):
        with (spool / f"service-{number}.jsonl").open("w") as file:
            for _ in range(FILE_BYTES // len(block)):
                fresh = block.replace("01a1fe49-", f"{_DICE.getrandbits(32):08x}-")
                wanted = wanted or fresh.partition('"id":"')[2][:36]
                file.write(fresh)
    return wanted


def _block() -> str:
    """About a megabyte of lines, one of a thousand of which tells of a failure."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    return "".join(_line(begin + timedelta(milliseconds=number), number) for number in range(2000))


def _line(moment: datetime, number: int) -> str:
    has_failed = number % 1000 == 0
    line = {
        "@timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
        "message": "rpc.call",
        "event": {"duration": 29_696_088, "outcome": "failure" if has_failed else "success", "action": "rpc.call"},
        "http": {"request": {"id": f"01a1fe49-{number:04x}-7372-829c-{_DICE.getrandbits(48):012x}"}},
        "trace": {"id": f"{_DICE.getrandbits(128):032x}"},
        "span": {"id": f"{_DICE.getrandbits(64):016x}"},
        "user": {"id": "01a1fe39-5f28-7715-95a6-56a458a33d04"},
        "log": {"level": "info"},
        "service": {"name": "order", "node": {"name": "order-1"}, "environment": "local"},
        "process": {"pid": 28813},
        "ecs": {"version": "9.0.0"},
        "labels": {"method": "order.get_order", "redelivered": False, "batch_size": 1, "queue_ns": 2_056_331},
    }
    return json.dumps(line, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
