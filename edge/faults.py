"""What is wrong with a route table, each fault with the line where an editor finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EX_CONFIG = 78


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``line`` counts from 1; ``pointer`` (RFC 6901) names the place in the table, ``route`` the route."""

    detail: str
    line: int | None = None
    pointer: str = ""
    route: str = ""
    file: str = ""

    def __str__(self) -> str:
        """For the terminal and the log."""
        line = f"line {self.line}" if self.line is not None else ""
        return ": ".join(part for part in (self.file, line, self.route, self.detail) if part)


class BadRoutes(Exception):
    """This table cannot be used. An edge that has no other does not start: it ends with status ``code``."""

    code = EX_CONFIG

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        """One line per fault, for the terminal."""
        return "The route table is not usable:\n" + "\n".join(f"  - {fault}" for fault in self.faults)
