"""Finds the shop that a command asks: behind the broker that the environment names, else the local stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from kirana.parking import address
from kirana.stack.faults import NotRunning
from kirana.stack.presence import load_running
from kirana.stack.state import StackState


@dataclass(frozen=True)
class Shop:
    """The operator's address of its broker, and what to do when nobody answers there.

    ``stack`` is the local stack if that is the shop: of another only the services can be asked, by the broker.
    """

    amqp: str
    mend: str
    stack: StackState | None = None


def find(environment: Mapping[str, str] = os.environ) -> Shop:
    """The shop of ``KIRANA_AMQP_URL`` (or ``…_FILE``), as ``kirana events`` finds it. Raises :class:`StackFault`."""
    if any(environment.get(name) for name in (address.SETTING, f"{address.SETTING}_FILE")):
        named = address.find(environment)
        return Shop(named.url, named.mend)
    try:
        stack = load_running()
    except NotRunning as none:
        none.cause = f"A shop that runs elsewhere is found by {address.SETTING}, its operator's address of the broker."
        raise
    return Shop(stack.amqp, "kirana status", stack)
