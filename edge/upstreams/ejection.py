"""Leaves out the instances that fail, and lets those that come back grow into their share: a pure state machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge.upstreams.policy import Ejection

FIRST_SHARE = 0.1
"""What an instance gets of its share at the moment it comes, or comes back."""

_MOST_DOUBLINGS = 30


@dataclass(slots=True)
class _Record:
    """What is known of one instance. ``grows_from`` is when its share began to grow; ``None``: it has all of it.

    ``group`` are those who could do its work. ``out_for`` is how long it was left out last, 0 when that is forgiven.
    """

    grows_from: float | None = None
    group: str = ""
    failures: int = 0
    times_out: int = 0
    out_until: float | None = None
    returned_at: float = 0.0
    out_for: float = 0.0


class Outliers:
    """The instances of one service, by id. ``now`` is monotonic seconds and never goes backwards."""

    def __init__(self, policy: Ejection) -> None:
        self._policy = policy
        self._records: dict[str, _Record] = {}

    def follow(self, groups: Mapping[str, str], now: float) -> None:
        """These instances exist, each in its group, of which only a part may be left out.

        The first ones have their whole share at once: somebody must do the work.
        """
        grows_from = now if self._records else None
        self._records = {one: self._records.get(one) or _Record(grows_from) for one in groups}
        for one, group in groups.items():
            self._records[one].group = group

    def share(self, instance_id: str, now: float) -> float:
        """How much of its weight an instance gets: 0 while it is out, then more and more, 1 at last."""
        record = self._records.get(instance_id)
        if record is None:
            return 1.0
        self._let_return(record, now)
        if record.out_until is not None:
            return 0.0
        return 1.0 if record.grows_from is None else self._grown(record, now - record.grows_from)

    def succeeded(self, instance_id: str, now: float) -> None:
        """The instance answered. Well for as long as it was out last, it is as good as new."""
        record = self._records.get(instance_id)
        if record is None:
            return
        record.failures = 0
        if record.times_out and record.out_until is None and now - record.returned_at >= record.out_for:
            record.times_out = 0

    def failed(self, instance_id: str, now: float) -> bool:
        """The instance did not answer as it should; whether it is left out from now on."""
        record = self._records.get(instance_id)
        if record is None:
            return False
        self._let_return(record, now)
        if record.out_until is not None:
            return False
        record.failures += 1
        if record.failures < self._policy.failures or not self._may_go(record, now):
            return False
        doublings = min(record.times_out, _MOST_DOUBLINGS)
        record.out_for = min(self._policy.longest, self._policy.first * 2.0**doublings)
        record.out_until = now + record.out_for
        record.times_out += 1
        record.failures = 0
        return True

    def out(self, now: float) -> int:
        """How many are left out."""
        return _out(self._records.values(), now)

    def _may_go(self, record: _Record, now: float) -> bool:
        group = [one for one in self._records.values() if one.group == record.group]
        return (_out(group, now) + 1) * 100 <= self._policy.most_percent * len(group)

    def _let_return(self, record: _Record, now: float) -> None:
        if record.out_until is not None and now >= record.out_until:
            record.returned_at = record.grows_from = record.out_until
            record.out_until = None

    def _grown(self, record: _Record, seconds: float) -> float:
        if seconds >= self._policy.slow_start:
            record.grows_from = None
            return 1.0
        return FIRST_SHARE + (1 - FIRST_SHARE) * seconds / self._policy.slow_start


def _out(records: Iterable[_Record], now: float) -> int:
    return sum(1 for one in records if one.out_until is not None and now < one.out_until)
