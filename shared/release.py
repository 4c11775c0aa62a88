"""Says which release of our code this process runs: one value for its log lines, metrics and place in Consul."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Final

UNKNOWN: Final = "unknown"


def _version() -> str:
    """What whoever started this process calls it (``kirana deploy``, an image's tag), else the package's version."""
    try:
        return os.environ.get("KIRANA_BUILD") or version("kirana")
    except PackageNotFoundError:  # run from a folder that nobody installed
        return UNKNOWN


VERSION: Final = _version()
