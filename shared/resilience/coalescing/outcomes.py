"""What a caller is told when there is no answer, sorted by what is known: it never left, or nobody can say."""

from __future__ import annotations


class NeverLeft(Exception):
    """Nothing was done, so it is safe to ask again."""


class Overloaded(NeverLeft):
    """The room is full; said at once."""


class Expired(NeverLeft):
    """The deadline passed before there was room in a batch."""


class Closed(NeverLeft):
    """Closing: nothing leaves any more."""


class Unanswered(Exception):
    """It left, and no answer came: it may or may not have been done."""
