"""Gets a Consul agent: the one on PATH, else Debian 11's package from the mirror this machine already uses.

Later Debian releases carry no Consul. The package is unpacked, never installed: once for all stacks of a user, into
``$XDG_CACHE_HOME/kirana``, or below the stack's home where that cannot be. APT keeps its signature checks, and its own
state beside the package.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SUITE = "bullseye"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TIMEOUT_SECONDS = 180
LEFT_BEHIND_SECONDS = 3600
"""No unpacking lasts so long: a folder of that age was left by one that was killed."""


class NoConsul(Exception):
    """There is no agent to be had, for the reason given; everything runs without."""


@dataclass(frozen=True)
class Source:
    """One configured package source."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def present(home: Path) -> Path | None:
    """The agent that is here already."""
    on_path = shutil.which("consul")
    if on_path:
        return Path(on_path)
    return next((found for place in (cache(), home) if place and _is_there(found := _unpacked(place))), None)


def cache() -> Path | None:
    """Where what all stacks of a user share is kept; ``None`` for a user who has no such place."""
    wished = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(wished) if Path(wished).is_absolute() else Path.home() / ".cache") / "kirana"
    except RuntimeError:
        return None


def _unpacked(place: Path) -> Path:
    return place / "packages" / "consul" / "usr" / "bin" / "consul"


def fetch(home: Path) -> Path:
    """Download and unpack the agent. Raises :class:`NoConsul`."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NoConsul("no consul on PATH, and this machine has no apt-get to get one with")
    mirrors = debian_mirrors(configured_sources(), codename())
    reasons = ["no Debian mirror is configured"]
    place = _writable(home)
    for mirror in mirrors:
        try:
            return _from_mirror(mirror, place)
        except NoConsul as reason:
            reasons.append(str(reason))
    raise NoConsul(reasons[-1])


def codename(path: Path = Path("/etc/os-release")) -> str:
    """The name of the release this machine runs, such as ``bookworm``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    pairs = dict(line.partition("=")[::2] for line in lines)
    return pairs.get("VERSION_CODENAME", "").strip('"') if pairs.get("ID", "").strip('"') == "debian" else ""


def debian_mirrors(sources: Iterable[Source], release: str) -> list[str]:
    """Where this machine gets Debian itself from, not security fixes or other vendors' packages."""
    found = [source.uri for source in sources if release and release in source.suites and "main" in source.components]
    return list(dict.fromkeys(found))


def configured_sources(folder: Path = Path("/etc/apt")) -> list[Source]:
    """Everything in ``sources.list`` and ``sources.list.d``, in either format."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    found: list[Source] = []
    for file in files:
        if file.suffix in {".list", ".sources"} and file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            found += _deb822(text) if file.suffix == ".sources" else _one_line(text)
    return found


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        rest = words[1:]
        if rest and rest[0].startswith("["):
            end = next((at for at, word in enumerate(rest) if word.endswith("]")), len(rest) - 1)
            rest = rest[end + 1 :]
        if len(rest) >= 3:  # noqa: PLR2004 - uri, suite, at least one component
            yield Source(rest[0].rstrip("/"), (rest[1],), tuple(rest[2:]))


def _deb822(text: str) -> Iterator[Source]:
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in body.split("\n\n"):
        fields = _fields(stanza)
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
            for uri in fields.get("uris", "").split():
                yield Source(
                    uri.rstrip("/"),
                    tuple(fields.get("suites", "").split()),
                    tuple(fields.get("components", "").split()),
                )


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace() and name:
            fields[name] += " " + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _is_there(binary: Path) -> bool:
    """Whether we may run it; a place that we may not enter has nothing for us."""
    return os.access(binary, os.X_OK)


def _writable(home: Path) -> Path:
    shared = cache()
    try:
        if shared is not None:
            (shared / "packages").mkdir(parents=True, exist_ok=True)
            if os.access(shared / "packages", os.W_OK):
                return shared
    except OSError:
        pass
    return home


def _from_mirror(mirror: str, place: Path) -> Path:
    packages = place / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    clear_leftovers(packages)
    with tempfile.TemporaryDirectory(dir=packages, prefix="consul-") as folder:
        _unpack(mirror, Path(folder))
        with suppress(OSError):  # somebody else was quicker
            _put(Path(folder) / "consul", packages / "consul")
    found = _unpacked(place)
    if not _is_there(found):
        raise NoConsul(f"the package of {SUITE} holds no consul")
    return found


def clear_leftovers(packages: Path) -> None:
    """Remove what those have left who were killed while they unpacked."""
    for folder in packages.glob("consul-*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFT_BEHIND_SECONDS:
                shutil.rmtree(folder)


def _put(fresh: Path, there: Path) -> None:
    """Move it there whole; only what is of no use gives way to it."""
    try:
        fresh.rename(there)
    except OSError:
        if not _is_there(there / "usr" / "bin" / "consul"):
            shutil.rmtree(there)
            fresh.rename(there)


def _unpack(mirror: str, place: Path) -> None:
    apt = place / "apt"
    for folder in (apt / "lists" / "partial", apt / "cache" / "archives" / "partial", place / "downloads"):
        folder.mkdir(parents=True, exist_ok=True)
    trust = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (apt / "sources.list").write_text(f"deb {trust}{mirror} {SUITE} main\n", encoding="utf-8")
    options = [f"-o{option}" for option in _private_state(apt)]
    _run(["apt-get", *options, "update"], place)
    _run(["apt-get", *options, "download", "consul"], place / "downloads")
    package = max((place / "downloads").glob("consul_*.deb"), key=os.path.getmtime)
    _run(["dpkg", "-x", str(package), str(place / "consul")], place)


def _private_state(apt: Path) -> list[str]:
    return [
        f"Dir::Etc::sourcelist={apt}/sources.list",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={apt}/lists",
        f"Dir::Cache={apt}/cache",
        "APT::Sandbox::User=root",  # the sandbox user may be unable to enter this home
        "APT::Update::Error-Mode=any",
        "Acquire::Retries=0",  # everything works without Consul, so nobody should wait long for a dead mirror
        "Acquire::http::Timeout=10",
        "Acquire::https::Timeout=10",
    ]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise NoConsul(f"{shlex.join(command[:1])} did not finish: {fault}") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise NoConsul(f"{command[0]} could not get Debian 11's package: {last.rstrip('.')}")
