"""Divides requests among versions of a service: by share, by header, and the same one for the same caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.upstreams.balancing import share_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edge.upstreams.balancing import Dice
    from edge.upstreams.policy import Versions


class Divider:
    """Compiled once per route."""

    def __init__(self, policy: Versions, dice: Dice) -> None:
        self._policy = policy
        self._dice = dice
        self._shares = {version: share for version, share in policy.split.items() if share}

    @property
    def header(self) -> str | None:
        """The header that may name a version."""
        return self._policy.header.name if self._policy.header else None

    def choose(self, present: Collection[str], *, named: str | None, key: bytes) -> str | None:
        """One of the versions ``present``; ``None`` when none of them may be had.

        ``named`` is the header's value; ``key`` is whom to stay with, empty for nobody. A version that has no instance
        leaves its share to the others; one without a share never takes over by itself.
        """
        if named is not None and self._policy.header is not None:
            asked = self._policy.header.values.get(named)
            if asked in present:
                return asked
        return _drawn(self._at(key), {one: share for one, share in self._shares.items() if one in present})

    def _at(self, key: bytes) -> float:
        return share_of(key) if key else self._dice.random()


def _drawn(at: float, shares: Mapping[str, int]) -> str | None:
    """The version in whose part of the line ``at`` (0 to 1) lies."""
    left = at * sum(shares.values())
    for version, share in shares.items():
        if left < share:
            return version
        left -= share
    return None
