"""Stands between the supervisor and a program: clears away what a killed predecessor left behind, then becomes it.

When the head of a family of processes is killed outright, its children may live on and hold its port or its data
(the workers of the edge, for one), and every restart would fail. It uses the standard library alone, since it runs
before every start.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_STACK, _PROGRAM = "KIRANA_STACK", "SUPERVISOR_PROCESS_NAME"


def predecessors() -> list[int]:
    """Processes of the same program of the same stack, but not this one."""
    is_ours = _is_front if os.environ[_PROGRAM] == "front" else _is_marked
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):  # gone, or another user's
                if is_ours(folder):
                    found.append(int(folder.name))
    return found


def _is_marked(folder: Path) -> bool:
    theirs = (folder / "environ").read_bytes().split(b"\0")
    return all(f"{name}={os.environ[name]}".encode() in theirs for name in (_STACK, _PROGRAM))


def _is_front(folder: Path) -> bool:
    """Its nginx writes titles over its environment, but stays in the folder that only it is started in: our own."""
    return (folder / "comm").read_text() == "nginx\n" and (folder / "cwd").readlink() == Path.cwd()


def clear_away(seconds: float = 5.0) -> None:
    """Kill the predecessors and wait until they are gone."""
    give_up = time.monotonic() + seconds
    while (old := predecessors()) and time.monotonic() < give_up:
        for pid in old:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def main() -> None:
    """``launch.py {keep|drop} COMMAND…``: drop the standard output of programs that write the log spool themselves."""
    clear_away()
    if sys.argv[1] == "drop":
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main()
