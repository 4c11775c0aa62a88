"""Waits for a Consul that has only just begun: its access control comes a moment after its leader."""

from __future__ import annotations

import time

from kirana.configuration.keys import Keys
from kirana.stack.faults import NotRunning

PAUSE_SECONDS = 0.5


def await_access_control(keys: Keys, seconds: float) -> None:
    """Return as soon as Consul knows the token that is shown to it, or when ``seconds`` are over, ready or not.

    Who asks it next is told what is wrong with it.
    """
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not _knows_us(keys):
        time.sleep(PAUSE_SECONDS)


def _knows_us(keys: Keys) -> bool:
    try:
        return keys.ask("GET", "/v1/acl/token/self").is_success
    except NotRunning:
        return False
