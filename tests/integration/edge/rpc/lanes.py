"""A service of ours in processes of its own, for tests of the lanes that lead to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

PROGRAM = Path(__file__).with_name("kirana_service.py")


class Lanes:
    """The service, to be started, killed and frozen."""

    def __init__(self, url: str, folder: Path) -> None:
        self.journal = folder / "journal"
        self.journal.touch()
        self._url = url
        self._log = folder / "log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *, workers: int = 64) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONSAFEPATH": "1",
            "KIRANA_AMQP_URL": self._url,
            "KIRANA_MAX_WORKERS": str(workers),
            "KIRANA_INSTANCE": f"lanes-{len(self._processes)}",
        }
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(PROGRAM), str(self.journal)],
                env=environment,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def noted(self) -> Counter[str]:
        return Counter(self.journal.read_text().split())
