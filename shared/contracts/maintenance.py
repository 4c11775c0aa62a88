"""Says how an operator takes one instance out: a key of Consul that the instance itself follows.

The instance is named as ``KIRANA_INSTANCE`` says, so the wish outlives a restart of the instance and of any agent.
"""

from __future__ import annotations

from typing import Final

import msgspec

PREFIX: Final = "kirana/maintenance/"
WAIT_SECONDS: Final = 30
"""So long a question for the next change waits for its answer."""


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the key. ``share`` is the part of its time in which the instance takes work all the same.

    A new version on trial has a share above 0; an instance that is out has 0.
    """

    reason: str = ""
    by: str = ""
    since: str = ""
    share: float = 0.0

    @property
    def is_out(self) -> bool:
        """Whether nothing at all is to be sent there."""
        return self.share <= 0


def key_of(instance: str) -> str:
    """Where the wish for this instance stands."""
    return f"{PREFIX}{instance}"


def read_maintenance(value: bytes | None) -> Maintenance | None:
    """What the key says, ``None`` if there is no such key. What nobody can read takes the instance out, too."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=Maintenance)
    except msgspec.DecodeError:
        return Maintenance(reason="the key cannot be read")
