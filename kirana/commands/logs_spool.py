"""Which log ``kirana logs`` reads: that of the local stack, or what lies in folders that were named."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from kirana.logbook.spools import Spool, Together
from kirana.stack import state
from kirana.stack.faults import StackFault

VARIABLE = "KIRANA_LOG_SPOOL"
"""Says the folders to who does not want to type them."""

COMMAND = "kirana logs"
_SUFFIX = ".jsonl"
_USUAL = "spool"


def spool_of(folders: Sequence[Path] | None) -> Spool:
    """The folders as one, else the stack's. Raises :class:`StackFault` where one cannot be read, or is empty."""
    if not folders:
        return state.load(state.home()).spool
    return Together(tuple(_checked(folder) for folder in dict.fromkeys(each.resolve() for each in folders)))


def again(folders: Sequence[Path] | None) -> str:
    """How a command begins that reads what this one has read; what the environment said it will say again."""
    typed = folders if folders and is_typed(folders) else ()
    return " ".join([COMMAND, *(f"--spool {shlex.quote(str(folder))}" for folder in typed)])


def is_typed(folders: Sequence[Path] | None) -> bool:
    """Whether the command line names them, rather than the environment."""
    return bool(folders) and [str(folder) for folder in folders or ()] != os.environ.get(VARIABLE, "").split(os.pathsep)


def _checked(folder: Path) -> Path:
    try:
        with os.scandir(folder) as found:
            files = [entry.path for entry in found if entry.name.endswith(_SUFFIX)]
    except FileNotFoundError:
        raise StackFault(f"There is no folder {folder}.") from None
    except NotADirectoryError:
        raise StackFault(f"{folder} is no folder.", mend=f"kirana logs --spool {folder.parent}") from None
    except OSError as fault:
        raise _unreadable(folder, fault) from None
    if not files:
        raise _empty(folder)
    _try(files)
    return folder


def _try(files: Iterable[str]) -> None:
    """One file that cannot be read may be the one that matters, so all of them must be readable."""
    for file in files:
        try:
            with suppress(FileNotFoundError), Path(file).open("rb"):  # one that was moved away just now is no loss
                pass
        except OSError as fault:
            raise _unreadable(file, fault) from None


def _unreadable(what: Path | str, fault: OSError) -> StackFault:
    cause = (
        "it belongs to another user: in containers 10001 writes the log." if isinstance(fault, PermissionError) else ""
    )
    return StackFault(f"{what} cannot be read: {fault.strerror}.", cause=cause)


def _empty(folder: Path) -> StackFault:
    inner = folder / _USUAL
    return StackFault(
        f"There is no log in {folder}: no file of it ends with {_SUFFIX}.",
        cause="that is the home of a stack, not its spool."
        if inner.is_dir()
        else "no process writes to it, or not yet.",
        mend=f"kirana logs --spool {inner}" if inner.is_dir() else "",
    )
