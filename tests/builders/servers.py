"""A server of the tests' own: own port, own data, own process group, and faults on request."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from kirana.stack.ports import is_free
from tests.builders.waiting import eventually

FIRST_PORT, LAST_PORT = 12000, 32000
STARTING_SECONDS = 60
ENDING_SECONDS = 40

_given = set()


def free_port():
    """A port nobody listens on, given once.

    It lies below the range from which the kernel takes the near end of outgoing connections, so that a client of a
    killed server cannot reach itself.
    """
    while (port := FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)) in _given or not is_free(port):
        continue
    _given.add(port)
    return port


class Server:
    """A context manager: it runs inside, and neither a process nor a file of it is left behind.

    A subclass says ``name``, ``command``, whether it ``answers``, and which signal it ends by.
    """

    name = "server"
    farewell = signal.SIGTERM
    user = None
    environment = {}  # noqa: RUF012 - replaced, never changed
    not_yet = (OSError,)

    def __init__(self):
        self.port = free_port()
        self.home = Path(tempfile.mkdtemp(prefix=f"kirana-{self.name}-"))
        self.process = None

    def __enter__(self):
        try:
            self.prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_fault):
        self.resume()
        self.end()
        shutil.rmtree(self.home, ignore_errors=True)

    def prepare(self):
        """What is done once, before the first start."""

    def start(self):
        """Returns when it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self._environment, stdout=log, stderr=log, start_new_session=True, **self._place
            )
        eventually(
            self._answers_or_died, within=STARTING_SECONDS, what=f"the start of {self.name}", despite=self.not_yet
        )

    def end(self, how=None):
        if self.process is not None:
            self._signal(how or self.farewell)
            self.process.wait(ENDING_SECONDS)
            self.process = None

    def kill(self):
        self.end(signal.SIGKILL)

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def run(self, *command):
        """A tool of the server, as the server's user; gives what it prints."""
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, **self._place
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def _log(self):
        return self.home / "log"

    @property
    def _environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.environment}

    @property
    def _place(self):
        return {"cwd": self.home, "user": self.user, "group": self.user, "extra_groups": [] if self.user else None}

    def _answers_or_died(self):
        assert self.process.poll() is None, f"{self.name} ended at once:\n{self._log.read_text()[-4000:]}"
        return self.answers()

    def _signal(self, number):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)
