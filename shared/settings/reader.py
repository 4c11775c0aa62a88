"""Reads typed settings from environment variables, collecting all faults before it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, overload

T = TypeVar("T")

PREFIX = "KIRANA_"


class BadSettings(SystemExit):
    """The process cannot start. Exits with status 78 (``EX_CONFIG``) after naming every fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(78)
        self.faults = faults

    def __str__(self) -> str:
        """One line per fault, for the terminal."""
        return "The settings are not usable:\n" + "\n".join(f"  - {fault}" for fault in self.faults)


class Reader:
    """Reads ``KIRANA_<NAME>``, or the file that ``KIRANA_<NAME>_FILE`` names (for secrets).

    Call :meth:`finish` after the last read: it raises :class:`BadSettings` if anything was wrong.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._faults: list[str] = []

    @overload
    def read(self, name: str, cast: Callable[[str], T], default: T) -> T: ...
    @overload
    def read(self, name: str, cast: Callable[[str], T]) -> T: ...
    def read(self, name: str, cast: Callable[[str], T], default: T | None = None) -> T | None:
        """The setting, cast; without a default it is required."""
        text = self._text(name)
        if text is None:
            if default is None:
                self._faults.append(f"{PREFIX}{name} is required.")
            return default
        try:
            return cast(text)
        except ValueError as fault:
            self._faults.append(f"{PREFIX}{name}: {fault}")
            return default

    def finish(self) -> None:
        """Raise :class:`BadSettings` with every fault found so far."""
        if self._faults:
            raise BadSettings(self._faults)

    def _text(self, name: str) -> str | None:
        path = self._environment.get(f"{PREFIX}{name}_FILE")
        if path:
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except OSError as fault:
                self._faults.append(f"{PREFIX}{name}_FILE: {fault.strerror}: {path}")
                return None
        return self._environment.get(f"{PREFIX}{name}") or None


def words(text: str) -> tuple[str, ...]:
    """Comma-separated words."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def boolean(text: str) -> bool:
    """``true``/``false``, ``1``/``0``, ``yes``/``no``, ``on``/``off``."""
    match text.lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
    raise ValueError("true or false is expected.")


def positive(text: str) -> int:
    """A whole number above zero."""
    number = int(text)
    if number <= 0:
        raise ValueError("a number above zero is expected.")
    return number


def one_of(*choices: str) -> Callable[[str], str]:
    """One of these words."""

    def cast(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)} is expected.")
        return text

    return cast
