"""Lays out the folder in which one stack keeps everything it owns."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kirana.stack.faults import StackFault

MARK = "KIRANA_STACK"
"""Set in every process of a stack, and in nothing else: a shell may well export ``KIRANA_HOME``."""

LONGEST_SOCKET_PATH = 90
"""Linux takes 107 bytes; the supervisor binds a longer, temporary name first."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_FOLDERS = ("run", "log", "spool", "mail", "rabbitmq", "redis-carts", "redis-edge", "consul", "cart", "conf")


@dataclass(frozen=True)
class Home:
    """The folder of one stack."""

    root: Path

    @property
    def run(self) -> Path:
        """Sockets and pid files."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """What servers and crashing processes write to their terminals."""
        return self.root / "log"

    @property
    def conf(self) -> Path:
        """Rendered configuration of the servers."""
        return self.root / "conf"

    @property
    def unfinished(self) -> Path:
        """There while a shop is being restored here: what lies about is no shop before it is gone."""
        return self.root / "restoring"

    @property
    def tag(self) -> str:
        """A short name that no other stack on the machine has."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def short_run(self) -> Path:
        """Another way to :attr:`run`, short enough for a socket's address."""
        return Path(tempfile.gettempdir()) / f"kirana-{os.getuid()}-{self.tag}"

    @property
    def socket(self) -> Path:
        """Where the supervisor listens."""
        direct = self.run / "supervisor.sock"
        return direct if len(os.fsencode(direct)) <= LONGEST_SOCKET_PATH else self.short_run / direct.name

    def make(self) -> None:
        """Create the folders. PostgreSQL's own user must be able to pass through the outermost."""
        if not self.root.exists():
            self.root.mkdir(parents=True)
            self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for name in _FOLDERS:
            (self.root / name).mkdir(mode=0o700, exist_ok=True)
        self.link_run()

    def link_run(self) -> None:
        """Make the short way to :attr:`run` when the home's own path is too long. Raises :class:`StackFault`."""
        if self.socket.parent == self.run:
            return
        with suppress(FileExistsError):
            self.short_run.symlink_to(self.run)
        if not self.short_run.is_symlink() or self.short_run.readlink() != self.run:
            raise StackFault(f"{self.short_run} is in the way.", mend=f"rm -r {self.short_run}")

    def unlink_run(self) -> None:
        """Take the short way down again."""
        if self.short_run.is_symlink() and self.short_run.readlink() == self.run:
            self.short_run.unlink()

    def write(self, name: str, text: str) -> Path:
        """Put a rendered file into :attr:`conf`, readable by its owner only."""
        path = self.conf / name
        draft = path.with_name(f".{name}.draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
        return path

    def environment(self) -> dict[str, str]:
        """What every process of this stack starts with: nothing of the caller's, so that every start is the same."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{_SYSTEM_PATH}",
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "KIRANA_HOME": str(self.root),
            MARK: str(self.root),
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
        }
