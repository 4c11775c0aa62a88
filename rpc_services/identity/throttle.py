"""How often one may try to log in: so many tries at once, then a slow trickle that never stops altogether."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network

from rpc_services.identity.domain import sameness


@dataclass(frozen=True)
class Allowance:
    """``burst`` tries at once, one more ``every`` so often (the generic cell rate algorithm)."""

    burst: int
    every: timedelta

    @property
    def depth(self) -> timedelta:
        """How far ahead of the clock the paid-for time may run."""
        return self.every * self.burst

    def scaled(self, by: int) -> Allowance:
        """So many times as generous."""
        return Allowance(self.burst * by, self.every / by)


PER_VISITOR = Allowance(burst=10, every=timedelta(minutes=1))
"""One account from one address: who guesses from elsewhere does not lock the owner out."""

PER_ACCOUNT = Allowance(burst=100, every=timedelta(minutes=1))
"""From all addresses together; NIST SP 800-63B allows a hundred failures in a row."""

KNOWN_FOR = timedelta(days=90)
"""So long after a right try a visitor is known to an account, and what others guess elsewhere is not their loss."""

PER_ADDRESS = Allowance(burst=30, every=timedelta(seconds=5))
"""An office behind one address logs in together in the morning; a guessing machine does so all day."""


@dataclass(frozen=True)
class Count:
    """One counter that a try is taken from. The key is a digest: who tried what is nobody's reading."""

    key: bytes
    allowance: Allowance
    is_forgotten_on_success: bool = False
    waived_for: bytes | None = None
    """A visitor whom this does not concern once one of their tries was right."""


def counts_of(username: str, client_address: str, *, scale: int) -> list[Count]:
    """What this try counts against, in the one order in which rows are locked: address, visitor, account.

    A try that the first two refuse never reaches the account's own counter, which its owner needs too. From where the
    owner has logged in before, it does not count at all: a thousand machines that guess lock nobody out of a house.
    """
    network = _network(client_address)
    account = _digest("account", sameness(username))
    visitor = _digest("visitor", f"{network}\0{account.hex()}")
    counts = [
        Count(visitor, PER_VISITOR.scaled(scale), is_forgotten_on_success=True),
        Count(account, PER_ACCOUNT.scaled(scale), waived_for=visitor if client_address else None),
    ]
    if not client_address:
        return counts
    return [Count(_digest("address", network), PER_ADDRESS.scaled(scale)), *counts]


def _network(address: str) -> str:
    """An IPv6 client owns a whole /64; anything else counts as itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address


def _digest(kind: str, text: str) -> bytes:
    return sha256(f"{kind}\0{text}".encode()).digest()
