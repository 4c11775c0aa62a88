"""A route's transforms, ready to be applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.transforms.changing import JsonChanger, change_fields
from edge.transforms.tags import mark_of

if TYPE_CHECKING:
    from edge.transforms.policy import Changes, Transforms

    Fields = list[tuple[str, str]]

NOT_ASKED = frozenset({"accept-encoding", "range", "if-range", "if-modified-since"})
"""What would bring JSON packed, or a piece of it: neither can be changed; or nothing, though the changes are new."""


class RouteChanges:
    """``None`` where nothing is to be changed."""

    def __init__(self, policy: Transforms) -> None:
        self._there = policy.request.headers if policy.request else None
        self.back = policy.response.headers if policy.response else None
        self.request_json = _changer(policy.request)
        self.response_json = _changer(policy.response)
        self.mark = mark_of(policy.response)
        """Tells answers that are changed in this way from all others; empty where their JSON is not."""

    @classmethod
    def of(cls, policy: Transforms | None) -> RouteChanges | None:
        """The changes that this policy describes."""
        return cls(policy) if policy is not None else None

    def request_fields(self, fields: Fields) -> Fields:
        """The fields that go to the service."""
        there = change_fields(fields, self._there) if self._there else fields
        if self.response_json is None:
            return there
        return [(name, value) for name, value in there if name not in NOT_ASKED]


def _changer(changes: Changes | None) -> JsonChanger | None:
    return JsonChanger(changes.json) if changes and changes.json else None
