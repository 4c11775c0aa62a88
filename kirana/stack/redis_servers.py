"""Runs two private Redis servers, since one cannot both keep carts for ever and forget what a cache may forget."""

from __future__ import annotations

from kirana.stack.home import Home
from kirana.stack.packages import redis_program
from kirana.stack.programs import Program, fingerprint

_COMMON = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
daemonize no
databases 1
tcp-backlog 511
save ""
set-proc-title no
"""
"""A process that changed its title would no longer show the mark by which the stack knows its own."""
_CARTS = """\
appendonly yes
appendfsync everysec
aof-load-truncated yes
maxmemory-policy noeviction
"""
_EDGE = """\
appendonly no
maxmemory 128mb
maxmemory-policy allkeys-lru
"""


def carts(home: Home, port: int, password: str) -> Program:
    """Holds carts: nothing is evicted, at most a second of writes is lost with the power."""
    return _program(home, "redis-carts", _COMMON + _CARTS, port, password)


def edge(home: Home, port: int, password: str) -> Program:
    """Holds limits and cached answers: the least used go first, nothing is written to disk."""
    return _program(home, "redis-edge", _COMMON + _EDGE, port, password)


def _program(home: Home, name: str, text: str, port: int, password: str) -> Program:
    server = redis_program()
    assert server is not None, "ensured before"  # noqa: S101 - the servers are ensured before anything is configured
    path = home.write(f"{name}.conf", text.format(port=port, password=password, folder=home.root / name))
    return Program(name, (str(server), str(path)), fingerprint(path))


def url(port: int, password: str) -> str:
    """A server as a client reaches it."""
    return f"redis://:{password}@127.0.0.1:{port}/0"
