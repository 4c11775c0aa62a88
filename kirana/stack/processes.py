"""Finds what belongs to a stack among the machine's processes, and ends just that."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from kirana.stack import front
from kirana.stack.home import MARK

PROGRAM = "SUPERVISOR_PROCESS_NAME"
"""Set by the supervisor in what it starts, and so in what that starts."""


@dataclass(frozen=True)
class StackProcess:
    """A live process of a stack. ``program`` is empty for the supervisor and for what ``kirana up`` runs itself."""

    pid: int
    program: str


def of_stack(root: Path) -> list[StackProcess]:
    """Every live process of the stack in ``root``, whoever its parent is now.

    The mark is inherited; children that overwrote it (PostgreSQL's do, for their titles) are known by their parents.
    nginx overwrites its own, so it is known by the folder that only it is started in.
    """
    environments = {pid: _environment(pid) for pid in psutil.pids() if pid != os.getpid()}
    programs = {pid: found.get(PROGRAM, "") for pid, found in environments.items() if found.get(MARK) == str(root)}
    programs |= {pid: front.NAME for pid in environments if pid not in programs and _is_front(pid, root)}
    parents = {pid: _parent(pid) for pid in environments}
    grown = True
    while grown:
        children = {
            pid: programs[parent] for pid, parent in parents.items() if parent in programs and pid not in programs
        }
        programs |= children
        grown = bool(children)
    return [StackProcess(pid, program) for pid, program in sorted(programs.items())]


def other_homes(root: Path) -> set[Path]:
    """The homes of the other stacks that run on this machine, as far as this user may see them."""
    marks = {_environment(pid).get(MARK, "") for pid in psutil.pids()}
    return {Path(mark) for mark in marks if mark and mark != str(root)}


def _is_front(pid: int, root: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "nginx" and Path(process.cwd()) == (root / front.FOLDER).resolve()
    except psutil.Error:  # gone, or another user's
        return False


def _parent(pid: int) -> int:
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return 0


def _environment(pid: int) -> dict[str, str]:
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or another user's
        return {}
    pairs = (entry.partition("=") for entry in os.fsdecode(raw).split("\0"))
    return {name: value for name, _, value in pairs}


def end(root: Path, *, grace: float = 25.0, log: Callable[[str], None] = lambda _: None) -> int:
    """Ask every process of the stack to end, insist after ``grace`` seconds, and return how many there were."""
    found = of_stack(root)
    if not found:
        return 0
    log(f"ending {len(found)} left-over processes")
    _terminate(process.pid for process in found)
    _gone_within(root, grace)
    for process in of_stack(root):
        _signal(process.pid, kill=True)
    _gone_within(root, 10.0)
    return len(found)


def _terminate(pids: Iterable[int]) -> None:
    for pid in pids:
        _signal(pid, kill=False)


def _signal(pid: int, *, kill: bool) -> None:
    try:
        process = psutil.Process(pid)
        if kill:
            process.kill()
        elif process.name() == "postgres":
            process.send_signal(2)  # a fast shutdown; SIGTERM would wait for every client to leave
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return


def _gone_within(root: Path, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while of_stack(root) and time.monotonic() < give_up:
        time.sleep(0.1)
