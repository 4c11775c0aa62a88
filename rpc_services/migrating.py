"""Brings a service's database up to date.

Nothing that serves is imported, as every start of a shop runs one of these for each database.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from shared.persistence.migrations import migrate
from shared.settings.reader import BadSettings, Reader


def main(service: str, environ: Mapping[str, str]) -> None:
    """``python -m rpc_services <service> migrate``. Raises :class:`BadSettings` after telling them."""
    try:
        run_migrations(service, environ)
    except BadSettings as fault:
        sys.stderr.write(f"{fault}\n")
        raise


def run_migrations(service: str, environ: Mapping[str, str]) -> None:
    """A service without migrations has nothing to do. Raises :class:`BadSettings`, and what ``migrate`` raises."""
    if not (Path(__file__).parent / service / "migrations" / "versions").is_dir():
        return
    reader = Reader(environ)
    url = reader.read("DATABASE_URL", str)
    reader.finish()
    migrate(f"rpc_services.{service}", url)
