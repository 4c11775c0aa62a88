"""An edge in a process of its own, which may be killed, and what its clients had heard of it by then.

``python -m tests.integration.edge.rpc.mortal_edge URL DATABASE JOURNAL SEED`` is that process. It asks for one crowd of
changes after another. Each is written down before it is asked for, and each word before anything else is done: as
clients know what they asked for and what they heard, whatever becomes of the edge.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from edge.rpc.calls import RpcReply
from tests.builders.waiting import eventually_async
from tests.integration.edge.rpc.calling import a_caller, run
from tests.integration.edge.rpc.things import Change, Ledger, Said

CHECKOUT = Path(__file__).parents[4]
LONGEST_LIFE = 90.0
"""Seconds after which it ends by itself: whoever should have killed it may have died before."""

CUT_SHORT = "unknown the edge was killed"


@dataclass
class _Noted(Ledger):
    """A ledger that outlives its process."""

    journal: Path = Path()

    def __post_init__(self) -> None:
        self._lines = self.journal.open("ab", buffering=0)

    async def _ask(self, change: Change, patience: float) -> RpcReply | None:
        change.until = time.monotonic() + patience
        self._note(change)
        reply = await super()._ask(change, patience)
        self._note(change)
        return reply

    def _note(self, change: Change) -> None:
        self._lines.write(orjson.dumps(change) + b"\n")


class MortalEdge:
    """The handle of such a process; a context manager."""

    def __init__(self, url: str, database: str, folder: Path, seed: float) -> None:
        self._journal, self._log = folder / "journal", folder / "log"
        self._journal.touch()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", __name__, url, database, str(self._journal), str(seed)],
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self._process.kill()
        self._process.wait()

    def has_answered(self) -> bool:
        """Whether some change was."""
        assert self._process.poll() is None, f"it ended by itself:\n{self._log.read_text()[-4000:]}"
        return any(change.said is Said.ANSWERED for change in self.changes())

    def die(self) -> None:
        """Now, with whatever it has out."""
        self._process.kill()
        assert self._process.wait() == -signal.SIGKILL, f"it ended by itself:\n{self._log.read_text()[-4000:]}"

    def changes(self) -> list[Change]:
        """All that it was asked for, with what was heard of each; of what was cut short, nothing."""
        latest: dict[str, dict[str, Any]] = {}
        for line in self._journal.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                change = orjson.loads(line)
                latest[change["name"]] = change
        return [
            Change(**{**change, "said": Said(change["said"]), "history": change["history"] or [CUT_SHORT]})
            for change in latest.values()
        ]


async def _be_an_edge(url: str, database: str, journal: Path, seed: float) -> None:
    async with a_caller(url, services=("demo",)) as caller:
        ledger = _Noted(caller, database, random.Random(seed), journal=journal)
        measuring = asyncio.create_task(ledger.lateness.measure())
        await eventually_async(ledger.answers, what="an answer through a new edge")
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_LIFE):
                while True:
                    await ledger.crowd(longest=0.5, within=0.3)
        measuring.cancel()


if __name__ == "__main__":
    run(_be_an_edge(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])))
