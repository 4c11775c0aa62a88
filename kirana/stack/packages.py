"""Makes sure the server programs are on the machine, from its own package mirror, without starting any of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kirana.stack.faults import ServersMissing

LOG_LINES = 20

_INSTALL = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\\nexit 101\\n' > $policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT INT TERM
fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install --yes --no-install-recommends "$@"; }
install "$@" || { apt-get update; install "$@"; }
"""
"""While a ``policy-rc.d`` answers 101 no package starts its system-wide instance."""


@dataclass(frozen=True)
class Server:
    """A server program, the Debian package that brings it, and how to find it here."""

    package: str
    find: Callable[[], Path | None]


def rabbitmq_script() -> Path | None:
    """RabbitMQ's own start script: the one on PATH insists on being root or ``rabbitmq``."""
    places = [
        Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),
        *Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server"),
    ]
    return next((place for place in places if place.exists()), _on_path("rabbitmq-server"))


def postgres_programs(data: Path | None = None) -> Path | None:
    """The folder of ``initdb`` and ``postgres``: of the version that made ``data``, else the newest."""
    found = {
        int(place.parent.name): place
        for place in Path("/usr/lib/postgresql").glob("[0-9]*/bin")
        if (place / "initdb").exists()
    }
    if data is not None and (data / "PG_VERSION").exists():
        return found.get(int((data / "PG_VERSION").read_text(encoding="ascii")))
    if found:
        return found[max(found)]
    on_path = _on_path("initdb")
    return on_path.resolve().parent if on_path else None


def redis_program() -> Path | None:
    """The Redis server."""
    return _on_path("redis-server")


def browser_program() -> Path | None:
    """A Chromium that needs no screen."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := _on_path(name))), None)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


SERVERS = (
    Server("rabbitmq-server", rabbitmq_script),
    Server("redis-server", redis_program),
    Server("postgresql", postgres_programs),
)


def _program(name: str) -> Callable[[], Path | None]:
    return lambda: _on_path(name)


FOR_TESTS = (
    Server("chromium-headless-shell", browser_program),
    Server("prometheus", _program("promtool")),
    Server("prometheus-alertmanager", _program("amtool")),
    Server("prometheus-postgres-exporter", _program("prometheus-postgres-exporter")),
    Server("prometheus-redis-exporter", _program("prometheus-redis-exporter")),
    Server("prometheus-blackbox-exporter", _program("prometheus-blackbox-exporter")),
    Server("nginx-light", _program("nginx")),
    Server("podman", _program("podman")),
    Server("debootstrap", _program("debootstrap")),
    Server("nodejs", _program("node")),
    Server("npm", _program("npm")),
    Server("kubernetes-client", _program("kubectl")),
)
"""What the tests look at pages, rules, images and manifests with; the shop itself needs none."""


def missing(servers: Sequence[Server] = SERVERS) -> list[str]:
    """The packages that are not here."""
    return [server.package for server in servers if server.find() is None]


def as_root() -> list[str] | None:
    """What to put before a command that needs root; ``None`` when there is no way."""
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    return None


def ensure(servers: Sequence[Server] = SERVERS) -> list[str]:
    """Install what is missing and name it. Raises :class:`ServersMissing` when that cannot be done from here."""
    wanted = missing(servers)
    if wanted:
        install(wanted)
        still = missing(servers)
        if still:
            raise ServersMissing(
                f"{', '.join(still)}: installed, but the programs are not where they should be.",
                mend=f"apt-get install --reinstall {' '.join(still)}",
            )
    return wanted


def install(wanted: Sequence[str]) -> None:
    """Install Debian packages. Raises :class:`ServersMissing` when that cannot be done from here."""
    command = f"apt-get install {' '.join(wanted)}"
    prefix = as_root()
    if prefix is None:
        raise ServersMissing(
            f"Not installed: {', '.join(wanted)}.", cause="Only root can install packages.", mend=f"sudo {command}"
        )
    if shutil.which("apt-get") is None:
        raise ServersMissing(
            f"Not installed: {', '.join(wanted)}.",
            cause="This is no Debian or Ubuntu machine.",
            mend="install them with this machine's package manager",
        )
    done = subprocess.run(
        [*prefix, "sh", "-c", _INSTALL, "sh", *wanted],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = tuple(done.stdout.splitlines()[-LOG_LINES:])
        raise ServersMissing(f"apt-get could not install {', '.join(wanted)}.", mend=command, log=lines)
