"""Writes the supervisor's configuration from the list of programs."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

from kirana.stack.faults import StackFault
from kirana.stack.home import Home
from kirana.stack.programs import Program

LAUNCH = Path(__file__).with_name("launch.py")
FILES_WANTED = 65_536

_HEAD = """[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={log}/supervisord.log
logfile_maxbytes=0
pidfile={run}/supervisord.pid
directory={root}
childlogdir={log}
umask=077
minfds={files}
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={command}
directory={folder}
environment={environment}
autostart=false
autorestart=true
startsecs=1
startretries=1000000
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
stopasgroup={stop_group}
killasgroup=true
redirect_stderr=true
stdout_logfile={log}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=1
"""
"""``up`` starts programs itself, in order; from then on the supervisor restarts whatever ends, for ever."""


def render(home: Home, programs: Iterable[Program]) -> str:
    """The whole configuration. Raises :class:`StackFault` for a home whose path cannot be written into it."""
    head = _HEAD.format(
        socket=_plain(home.socket),
        log=_plain(home.log),
        run=_plain(home.run),
        root=_plain(home.root),
        files=_files(),
        user="user=root\n" if os.geteuid() == 0 else "",
    )
    return head + "".join(_section(home, program) for program in programs)


def _section(home: Home, program: Program) -> str:
    launch = [sys.executable, "-I", "-S", str(LAUNCH), "drop" if program.owns_log else "keep"]
    environment = home.environment() | dict(program.environment)
    return _PROGRAM.format(
        name=program.name,
        command=" ".join(_quoted(word) for word in [*launch, *program.command]),
        folder=_plain(program.folder or home.root),
        environment=",".join(f"{name}={_quoted(value)}" for name, value in sorted(environment.items())),
        stop_signal=program.stop_signal,
        stop_seconds=program.stop_seconds,
        stop_group=str(program.stop_group).lower(),
        log=_plain(home.log),
    )


def _files() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)


def _plain(path: Path) -> str:
    return str(path).replace("%", "%%")


def _quoted(value: str) -> str:
    """As the supervisor's reader takes it: it knows no escapes, and a blank before ``;`` or ``#`` begins a comment."""
    quote = "'" if '"' in value else '"'
    if quote in value or any(bad in value for bad in ("\n", " ;", " #", "\\")):
        raise StackFault(f"The supervisor cannot take in a path or setting like this: {value}", mend="change it")
    return f"{quote}{value.replace('%', '%%')}{quote}"
