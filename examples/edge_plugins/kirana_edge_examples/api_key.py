"""Knows partners by a key in a header: no login, no token, and the same scopes, limits and logs as for any caller.

The file that ``KIRANA_PLUGIN_API_KEY_FILE`` names has a line for each key: its SHA-256 in hexadecimal, whose it is, and
the scopes, separated by spaces. Keys must be random (``python -m kirana_edge_examples.api_key`` makes one): then a
plain hash is enough, which for a password it would not be. A file that changes counts within a second. One that cannot
be read any more lets nobody in.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
from msgspec import Meta

from edge.plugins import Caller, Options, Plugin, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.plugins import Handler, Proceed, Request, Response, Settings

log = structlog.get_logger()

LOOK_SECONDS = 1.0
LONGEST_KEY = 256
_LINE = re.compile(r"([0-9a-f]{64}) ([\x21-\x7e]{1,128})((?: [a-z:_-]+)*)")

FileState = tuple[int, int, int]


class ApiKeyOptions(Options, frozen=True, kw_only=True):
    """In which header the key comes."""

    header: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}(?!\n)$")] = "X-API-Key"


@dataclass
class KeyFile:
    """Hashes of keys and whom they stand for, as the file has them now. Raises ``ValueError`` for a bad line."""

    path: Path
    monotonic: Callable[[], float] = time.monotonic
    _known: list[tuple[bytes, Caller]] | None = field(default_factory=list)
    _state: FileState | None = None
    _looked_at: float = 0.0

    def __post_init__(self) -> None:
        self._state, self._known = self._read()
        self._looked_at = self.monotonic()

    def caller_of(self, key: str) -> Caller | None:
        """Whom the key stands for. Compares with all of them in the same time. Raises ``OSError`` without a file."""
        self._look()
        if self._known is None:
            raise OSError("the file of keys cannot be used")
        digest = hashlib.sha256(key.encode(errors="replace")).digest()
        found = None
        for known, caller in self._known:
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def _look(self) -> None:
        """Read the file anew if it is another than it was, at most once a second."""
        if self.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = self.monotonic()
        try:
            if self._known is None or self._state != _state_of(self.path):
                self._state, self._known = self._read()
        except (OSError, ValueError) as fault:
            if self._known is not None:
                log.error("api_key.file_unusable", reason=str(fault))  # noqa: TRY400 - a trace would say no more
            self._known = None

    def _read(self) -> tuple[FileState, list[tuple[bytes, Caller]]]:
        state = _state_of(self.path)
        lines = self.path.read_text(encoding="ascii").splitlines()
        kept = [(number, line.strip()) for number, line in enumerate(lines, 1)]
        return state, [_parsed(number, line) for number, line in kept if line and not line.startswith("#")]


def make(options: ApiKeyOptions, settings: Settings) -> Handler:
    """The stage of one route. Without the file there is none."""
    if "FILE" not in settings:
        raise ValueError("KIRANA_PLUGIN_API_KEY_FILE must name the file of keys")
    keys = KeyFile(Path(settings["FILE"]))

    async def api_key(request: Request, proceed: Proceed) -> Response:
        """Who sends no key is treated as if there were none; a wrong one is refused where none is needed, too."""
        given = request.headers.getall(options.header, [])
        if not given:
            return await proceed(request)
        if len(given) > 1 or "authorization" in request.headers:
            raise Refused("request.malformed", "Send one API key and no token, or a token and no key.")
        request.caller = _recognized(keys, given[0])
        del request.headers[options.header]  # nobody behind this needs it
        return await proceed(request)

    return api_key


def _recognized(keys: KeyFile, key: str) -> Caller:
    try:
        caller = keys.caller_of(key) if len(key) <= LONGEST_KEY else None
    except OSError:
        raise Refused("service.unavailable", "API keys cannot be checked right now.") from None
    if caller is None:
        raise Refused("auth.invalid_token", "The API key is not valid.")
    return caller


def _parsed(number: int, line: str) -> tuple[bytes, Caller]:
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise ValueError(f"line {number} is not 'SHA-256 OWNER SCOPE…'")
    return bytes.fromhex(parts[1]), Caller(user_id=parts[2], scopes=frozenset(parts[3].split()))


def _state_of(path: Path) -> FileState:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


plugin = Plugin(
    place="before authenticate",
    options=ApiKeyOptions,
    make=make,
    problems=("request.malformed", "auth.invalid_token", "service.unavailable"),
)


if __name__ == "__main__":
    fresh = secrets.token_urlsafe(32)
    print(fresh)  # noqa: T201 - for the one who asked
    print(hashlib.sha256(fresh.encode()).hexdigest(), "OWNER", "SCOPE")  # noqa: T201 - as above
