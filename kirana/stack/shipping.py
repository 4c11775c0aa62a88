"""The shipper of the local stack: there is one where ``KIRANA_ELASTICSEARCH_URL`` is set."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

NAME = "shipper-1"
URL = "KIRANA_ELASTICSEARCH_URL"

TUNABLE = (
    URL,
    "KIRANA_ELASTICSEARCH_API_KEY_FILE",
    "KIRANA_ELASTICSEARCH_CA",
    "KIRANA_ELASTICSEARCH_PASSWORD_FILE",
    "KIRANA_ELASTICSEARCH_TIMEOUT",
    "KIRANA_ELASTICSEARCH_USER",
    "KIRANA_SHIPPER_DISK_BYTES",
    "KIRANA_SHIPPER_DRAIN_SECONDS",
    "KIRANA_SHIPPER_IN_FLIGHT",
)
"""What an operator may set in the shell from which ``kirana up`` is run; secrets as files only."""

COMMAND = (sys.executable, "-m", "shipper")
STOP_SECONDS = 20
"""Longer than it drains."""


def is_wanted() -> bool:
    """Whether there is an Elasticsearch to ship to."""
    return bool(os.environ.get(URL))


def environment(common: Mapping[str, str], metrics_port: str) -> dict[str, str]:
    """The settings of the shipper."""
    chosen = {name: os.environ[name] for name in TUNABLE if os.environ.get(name)}
    return {**common, **chosen, "KIRANA_INSTANCE": NAME, "KIRANA_METRICS_PORT": metrics_port}
