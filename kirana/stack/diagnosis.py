"""Examines the machine and the stack, and knows a remedy for each complaint."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from kirana.stack import consul_binary, packages, ports, processes
from kirana.stack.home import Home
from kirana.stack.overview import ORPHANED, health_of, seen_processes
from kirana.stack.state import FILE_NAME, load
from kirana.stack.supervision import Supervisor

OLDEST_PYTHON = (3, 11)
MEMORY_WANTED_MB = 1500
DISK_WANTED_MB = 2000
BROKER_STOPS_MB = 512
SERVER_PROGRAMS = ("postgres", "rabbitmq", "redis-carts", "redis-edge", "consul")


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``mend`` is the command that puts it right."""

    verdict: Literal["well", "note", "bad"]
    text: str
    mend: str = ""


def examine(home: Home) -> list[Finding]:
    """Every finding, the machine's first, then the stack's."""
    looks: tuple[Callable[[Home], Iterator[Finding]], ...] = (
        _python,
        _servers,
        _consul,
        _memory,
        _disk,
        _rights,
        _ports,
        _stack,
    )
    return [finding for look in looks for finding in look(home)]


def _python(_home: Home) -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield Finding("bad", f"Python {version} is too old; 3.11 is needed.", "apt-get install python3.11-venv")
    else:
        yield Finding("well", f"Python {version} ({sys.executable})")


def _servers(_home: Home) -> Iterator[Finding]:
    for server in packages.SERVERS:
        found = server.find()
        if found is None:
            yield Finding("bad", f"{server.package} is not installed.", f"apt-get install {server.package}")
        else:
            yield Finding("well", f"{server.package} {_version(server.package)} ({found})")


def _version(package: str) -> str:
    if shutil.which("dpkg-query") is None:
        return ""
    asked = ["dpkg-query", "--show", "--showformat=${Version}", package]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _consul(home: Home) -> Iterator[Finding]:
    found = consul_binary.present(home.root)
    if found is None:
        yield Finding("note", "No Consul yet; everything works without. `kirana up` tries to get it.", "kirana up")
        return
    said = subprocess.run([str(found), "version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"v[\d.]+", said)
    yield Finding("well", f"Consul {version[0] if version else 'of unknown version'} ({found})")


def _memory(_home: Home) -> Iterator[Finding]:
    available = psutil.virtual_memory().available // 2**20
    verdict: Literal["well", "note"] = "well" if available >= MEMORY_WANTED_MB else "note"
    yield Finding(verdict, f"{available} MB of memory available ({MEMORY_WANTED_MB} wanted)")


def _disk(home: Home) -> Iterator[Finding]:
    place = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(place).free // 2**20
    if free < BROKER_STOPS_MB:
        yield Finding("bad", f"{free} MB free at {place}: RabbitMQ takes no messages.", "make room on that disk")
    else:
        yield Finding(
            "well" if free >= DISK_WANTED_MB else "note", f"{free} MB free at {place} ({DISK_WANTED_MB} wanted)"
        )


def _rights(home: Home) -> Iterator[Finding]:
    place = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    if os.access(place, os.W_OK | os.X_OK):
        yield Finding("well", f"{place} can be written to")
    else:
        yield Finding("bad", f"{place} cannot be written to.", f"sudo chown -R {os.getuid()} {place}")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        yield Finding(
            "bad", "setpriv is missing; PostgreSQL cannot be run as its own user.", "apt-get install util-linux"
        )
    if home.socket.parent != home.run:
        yield Finding("note", f"The home's path is long; sockets go by way of {home.short_run} while the stack runs.")


def _ports(home: Home) -> Iterator[Finding]:
    if processes.of_stack(home.root) or (home.root / "ports.json").exists():
        return
    taken = [f"{name} {port}" for name, port in ports.PREFERRED.items() if not ports.is_free(port)]
    if taken:
        yield Finding("note", f"Usual ports that are taken: {', '.join(taken)}. Others will be used.")
    else:
        yield Finding("well", "all usual ports are free")


def _stack(home: Home) -> Iterator[Finding]:
    left = processes.of_stack(home.root)
    if not left:
        yield Finding("note", f"No stack runs in {home.root}.", "kirana up")
    elif not Supervisor(home).is_alive():
        yield Finding("bad", f"{len(left)} processes run without their supervisor.", "kirana up   (or: kirana down)")
    elif Path(home.root / FILE_NAME).exists():
        yield from _programs(home)


def _programs(home: Home) -> Iterator[Finding]:
    seen = seen_processes(home)
    health = health_of(load(home.root), seen)
    for process in seen:
        complaint = health[process.name].complaint if process.name in health else "it does not run"
        if process.state not in {"RUNNING", ORPHANED} or complaint:
            text = f"{process.name} is {process.state}: {complaint}"
            yield Finding("bad", text, f"kirana up   (its log: {_log_of(process.name, home)})")
    if all(process.pid for process in seen):
        yield Finding("well", f"{len(seen)} processes run under their supervisor")


def _log_of(program: str, home: Home) -> str:
    """Our own processes write the spool, servers write to their terminals."""
    if program in SERVER_PROGRAMS:
        return f"{home.log / program}.log"
    return f"kirana logs --service {program}"
