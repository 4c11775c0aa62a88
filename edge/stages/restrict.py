"""Turns away who must not come here at all, by address: from the whole edge, or from one route."""

from __future__ import annotations

from edge.addresses import UNKNOWN
from edge.exchange import Exchange
from edge.problems import Rejected


def restrict(exchange: Exchange) -> None:
    """Where a list is set, it is set for a reason: an address that cannot be read is refused by it."""
    denied = exchange.equipment.denied
    access = None if exchange.route is None else exchange.route.access
    if not denied and access is None:
        return
    address = exchange.address
    if address == UNKNOWN or address in denied or (access is not None and not access.admits(address)):
        raise Rejected("access.denied", "Requests from this address are not taken here.")
