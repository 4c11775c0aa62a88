"""Talks to the stack's supervisor: starts it, starts and stops programs, and counts their restarts."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from kirana.stack.faults import SupervisorFailed
from kirana.stack.home import Home

START_SECONDS = 20
_ALREADY_STARTED, _NOT_RUNNING = 60, 70
_WITHOUT_WAITING = False
_BEGUN = "supervisord started with pid"
_SPAWNED = re.compile(r"spawned: '([^']+)' with pid (\d+)")


@dataclass(frozen=True)
class Seen:
    """A program as the supervisor sees it."""

    name: str
    pid: int
    state: str
    restarts: int


class Supervisor:
    """The supervisor of one home. Every method but :meth:`is_alive` and :meth:`start_itself` needs it alive."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def _ask(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._home.socket}")
        with ServerProxy("http://127.0.0.1", transport=transport, allow_none=True) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def is_alive(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._ask("getState")["statename"] == "RUNNING")
        except (OSError, HTTPException, Fault):
            return False

    def start_itself(self, configuration: str) -> None:
        """Start it with ``configuration``. Raises :class:`SupervisorFailed`."""
        path = self._home.write("supervisord.conf", configuration)
        for stale in (self._home.socket, self._home.run / "supervisord.pid"):
            stale.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)],
            cwd=self._home.root,
            env=self._home.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not _within(START_SECONDS, self.is_alive):
            lines = tuple((done.stdout + done.stderr).splitlines()[-20:])
            raise SupervisorFailed("The supervisor did not start.", log=lines, mend="kirana doctor")

    def apply(self, configuration: str) -> None:
        """Take a new configuration: programs that changed or went are stopped, the new ones are known afterwards."""
        self._home.write("supervisord.conf", configuration)
        [[added, changed, removed]] = self._ask("reloadConfig")
        self.stop([*changed, *removed])
        for name in [*changed, *removed]:
            self._ask("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._ask("addProcessGroup", name)

    def start(self, names: Iterable[str]) -> None:
        """Start what does not run. One that waits for its next try is tried now."""
        states = {seen.name: seen.state for seen in self.programs()}
        names = list(names)
        self.stop([name for name in names if states.get(name) == "BACKOFF"])
        for name in names:
            if states.get(name) not in {"RUNNING", "STARTING"}:
                with _tolerating(_ALREADY_STARTED):
                    self._ask("startProcess", name, _WITHOUT_WAITING)

    def stop(self, names: Collection[str], *, seconds: float = 45.0) -> None:
        """Stop these and wait until they are gone."""
        for name in names:
            with _tolerating(_NOT_RUNNING):
                self._ask("stopProcess", name, _WITHOUT_WAITING)
        _within(seconds, lambda: not any(seen.pid for seen in self.programs() if seen.name in names))

    def programs(self) -> list[Seen]:
        """Every program it knows."""
        restarts = self.restarts()
        return [
            Seen(found["name"], found["pid"], found["statename"], restarts.get(found["name"], 0))
            for found in self._ask("getAllProcessInfo")
        ]

    def restarts(self) -> dict[str, int]:
        """How often each program was started again since the supervisor began; its own log tells."""
        spawned: Counter[str] = Counter()
        with suppress(FileNotFoundError), (self._home.log / "supervisord.log").open(encoding="utf-8") as lines:
            for line in lines:
                if _BEGUN in line:
                    spawned.clear()
                elif match := _SPAWNED.search(line):
                    spawned[match[1]] += 1
        return {name: count - 1 for name, count in spawned.items()}

    def shut_down(self, *, seconds: float = 45.0) -> None:
        """End it, and with it whatever it still runs."""
        with suppress(OSError, HTTPException, Fault):
            self._ask("shutdown")
        _within(seconds, lambda: not self.is_alive())


class _tolerating:  # noqa: N801 - reads as a verb where it is used
    """Passes over one fault that the supervisor's answer may be."""

    def __init__(self, code: int) -> None:
        self._code = code

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, Fault) and error.faultCode == self._code


def _within(seconds: float, is_so: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if is_so():
            return True
        time.sleep(0.1)
    return is_so()
