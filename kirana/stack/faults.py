"""What can go wrong with a local stack, each with the exit status that scripts may rely on."""

from __future__ import annotations

from typing import ClassVar


class StackFault(Exception):
    """Something an operator can mend. ``cause`` guesses why, ``mend`` is the next command, ``log`` the last lines."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, cause: str = "", mend: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.cause = cause
        self.mend = mend
        self.log = log


class NotRunning(StackFault):
    """There is no stack here, or it is not up."""

    exit_code = 3


class ServersMissing(StackFault):
    """A server program is not installed and cannot be installed from here."""

    exit_code = 4


class ServerFailed(StackFault):
    """A private server did not become ready."""

    exit_code = 5


class MigrationFailed(StackFault):
    """A service's database could not be brought up to date."""

    exit_code = 6


class ServiceFailed(StackFault):
    """A service or the edge did not become ready."""

    exit_code = 7


class SeedFailed(StackFault):
    """The shop runs, but its demo goods or its admin could not be loaded."""

    exit_code = 8


class Busy(StackFault):
    """Another command holds this stack's lock."""

    exit_code = 9


class SupervisorFailed(StackFault):
    """The supervisor itself did not start or does not answer."""

    exit_code = 10
