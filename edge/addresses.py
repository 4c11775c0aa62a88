"""Whose request it is by the network: addresses, sets of networks, and what trusted proxies say of others."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

UNKNOWN = "unknown"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Networks:
    """A set of networks in CIDR notation; asking costs one look-up per length of prefix, however many there are.

    An IPv4 address is the same however it is written: ``::ffff:192.0.2.7`` is in ``192.0.2.0/24``. Raises
    ``ValueError`` for a text that is no network.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._prefixes: dict[tuple[int, int], set[int]] = {}
        for text in texts:
            version, spare, prefix = _prefix_of(text)
            self._prefixes.setdefault((version, spare), set()).add(prefix)

    def __bool__(self) -> bool:
        return bool(self._prefixes)

    def __contains__(self, address: str) -> bool:
        parsed = _parsed(address)
        if parsed is None:
            return False
        number = int(parsed)
        return any(
            version == parsed.version and number >> spare in prefixes
            for (version, spare), prefixes in self._prefixes.items()
        )


class Proxies:
    """Believes ``X-Forwarded-For`` as far as those who wrote it are trusted, from the right to the left."""

    def __init__(self, trusted: Networks) -> None:
        self._trusted = trusted

    def __bool__(self) -> bool:
        return bool(self._trusted)

    def trusts(self, peer: str) -> bool:
        """Whether what this peer says of others is believed."""
        return bool(self._trusted) and plain(peer) in self._trusted

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """The last address that no trusted proxy has. ``forwarded`` are the header's values in their order.

        What a trusted proxy wrote that is no address leaves the request with that proxy.
        """
        address = plain(peer)
        hops = [hop for value in forwarded for hop in value.split(",")]
        while hops and address in self._trusted:
            named = plain(_without_port(hops.pop().strip()))
            if named == UNKNOWN:
                break
            address = named
        return address


@lru_cache(maxsize=4096)
def plain(address: str) -> str:
    """The one way to write this address; ``unknown`` if it is none."""
    parsed = _parsed(address)
    return UNKNOWN if parsed is None else str(parsed)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Who a limit by address counts: an IPv4 address, or the /64 that one IPv6 customer commands."""
    parsed = _parsed(address)
    if parsed is None:
        return UNKNOWN
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))  # noqa: PLR2004


@lru_cache(maxsize=4096)
def _parsed(address: str) -> _Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _prefix_of(text: str) -> tuple[int, int, int]:
    """Version, how many bits are free, and the bits that are not."""
    network = ipaddress.ip_network(text)
    first, spare = network.network_address, network.max_prefixlen - network.prefixlen
    mapped = getattr(first, "ipv4_mapped", None)
    if mapped is not None and spare <= ipaddress.IPV4LENGTH:
        first = mapped
    return first.version, spare, int(first) >> spare


def _without_port(hop: str) -> str:
    """Some proxies add the port: ``192.0.2.7:4711``, ``[2001:db8::1]:4711``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
