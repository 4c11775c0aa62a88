"""Starts the edge: ``python -m edge``."""

from __future__ import annotations

import os
import sys

from edge.app import build
from edge.faults import BadRoutes
from edge.serving import serve
from edge.settings import read_settings
from shared.settings.reader import BadSettings


def main() -> None:
    """Serve until SIGTERM. Exits with 78 (``EX_CONFIG``) after naming every fault of settings or routes."""
    try:
        settings = read_settings(os.environ)
        os.environ["KIRANA_INSTANCE"] = settings.instance  # workers take the name of the whole
        serve(settings, build)
    except (BadSettings, BadRoutes) as fault:
        sys.stderr.write(f"{fault}\n")
        raise SystemExit(78) from None


if __name__ == "__main__":
    main()
