"""Shows an operator the signing keys: in which state each is, and when it leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rpc_services.identity.key_rotation import RETIRE_FOR, KnownKey, Schedule
from shared.contracts.identity_operators import SigningKey
from shared.values.times import to_rfc3339


def shown(keys: Sequence[KnownKey], schedule: Schedule) -> list[SigningKey]:
    """Every key, as the schedule has it."""
    return [
        SigningKey(
            kid=key.kid,
            algorithm=key.algorithm,
            state=key.state,
            since=to_rfc3339(key.since),
            turns_at=to_rfc3339(_turns_at(key, keys, schedule)),
        )
        for key in keys
    ]


def _turns_at(key: KnownKey, keys: Sequence[KnownKey], schedule: Schedule) -> datetime:
    if key.state == "retiring":
        return key.since + RETIRE_FOR
    by_state = {each.state: each for each in keys}
    if len(by_state.keys() & {"current", "next"}) == 1:  # the other is about to be made
        return key.since
    return schedule.turns_at(by_state["current"], by_state["next"])
