"""Whether ``kirana logs`` reads files or asks Elasticsearch, and which."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kirana.commands.logs_spool import COMMAND, again, is_typed, spool_of
from kirana.logbook.spools import Archive, Log
from kirana.stack.faults import NotRunning, StackFault
from shared.settings.reader import BadSettings, Reader

if TYPE_CHECKING:
    from kirana.logbook.elastic import ElasticArchive

URL = "KIRANA_ELASTICSEARCH_URL"
"""Says the address to who does not want to type it, where there is neither a spool nor a local stack."""

OPTION = "--elasticsearch"


def log_of(url: str | None, folders: Sequence[Path] | None) -> Log:
    """What is named on the command line, else the environment's spool, the local stack's, Elasticsearch.

    Raises :class:`StackFault` where it cannot be read.
    """
    if url and is_typed(folders):
        raise typer.BadParameter("either this or --spool is expected.", param_hint=OPTION)
    if url:
        return _archive(url)
    try:
        return spool_of(folders)
    except NotRunning:
        if not os.environ.get(URL):
            raise
        return _archive(os.environ[URL])


def how_again(url: str | None, folders: Sequence[Path] | None) -> str:
    """How a command begins that reads what this one has read; what the environment said it will say again."""
    return f"{COMMAND} {OPTION} {shlex.quote(url)}" if url else again(folders)


def check(log: Log, *, is_followed: bool, text: str | None) -> None:
    """Raises ``BadParameter`` for what only files can do."""
    if not isinstance(log, Archive):
        return
    if is_followed:
        raise typer.BadParameter(
            "lines come to Elasticsearch some ten seconds late, so it cannot be followed: ask again, or follow a pod "
            "(kubectl logs -f), or a spool.",
            param_hint="--follow",
        )
    if text is not None:
        raise typer.BadParameter(
            "Elasticsearch is not searched for parts of lines here: do so in Kibana, or in a spool.",
            param_hint="--text",
        )


def shortfalls_of(log: Log) -> Sequence[str]:
    """What it could not look at, in sentences."""
    return getattr(log, "shortfalls", ())


def _archive(url: str) -> ElasticArchive:
    from kirana.logbook.elastic import archive_at  # its client takes a while to import, and most ask a spool
    from shipper.settings import read_destination

    reader = Reader({name: value for name, value in os.environ.items() if name != f"{URL}_FILE"} | {URL: url})
    place = read_destination(reader)
    try:
        reader.finish()
    except BadSettings as fault:
        raise StackFault(" ".join(dict.fromkeys(fault.faults))) from None
    return archive_at(place)
