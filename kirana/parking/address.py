"""Finds the broker to look at: the one that the environment names, else the local stack's."""

from __future__ import annotations

from collections.abc import Mapping

from kirana.parking.turn import Address
from kirana.stack.faults import StackFault
from kirana.stack.presence import load_running
from shared.settings.reader import BadSettings, Reader

SETTING = "KIRANA_AMQP_URL"
_SCHEMES = ("amqp://", "amqps://")


def find(environment: Mapping[str, str]) -> Address:
    """``KIRANA_AMQP_URL``, or the file that ``KIRANA_AMQP_URL_FILE`` names, as for services. Raises StackFault."""
    reader = Reader(environment)
    url = reader.read("AMQP_URL", _url, "")
    try:
        reader.finish()
    except BadSettings as fault:
        raise StackFault(fault.faults[0]) from None
    if url:
        return Address(url, mend=f"look at {SETTING}: it must be the operator's address of a broker that runs")
    return Address(load_running().amqp, mend="kirana status")


def _url(text: str) -> str:
    if not text.startswith(_SCHEMES):
        raise ValueError(f"an address that starts with {' or '.join(_SCHEMES)} is expected.")
    return text
