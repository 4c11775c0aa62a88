"""By which changes a state of a cart was made: its trail, which tells states of one history from those of another."""

from __future__ import annotations

from collections.abc import Sequence

TRAIL = "trail"
SHORTEST = 4
"""A trail that is shorter began with the cart, or with a state that has none."""

LONGEST = 4_000
"""Letters of a state's JSON that hold its whole trail, which stands first there: 64 changes of 60, and a version."""

_BEGINNING = f'{{"{TRAIL}":"'


def marks_of(version: int, fields: str) -> list[str]:
    """The last changes that led to this version, newest first.

    The mark of one with a key names its effect's id and fingerprint. None where the state was made by a version of the
    service that wrote no trails. ``fields`` may end after :data:`LONGEST`.
    """
    if not fields.startswith(_BEGINNING):
        return []
    trail, end, _ = fields[len(_BEGINNING) : LONGEST].partition('"')
    of_version, *marks = trail.split()
    return marks if end and of_version == str(version) else []


def effects_in(marks: Sequence[str]) -> list[tuple[str, str]]:
    """Id and fingerprint of each effect among these changes."""
    effects = [mark.partition(".")[0].partition(":") for mark in marks]
    return [(id_, fingerprint) for id_, _, fingerprint in effects if fingerprint]


def have_parted(state: Sequence[str], kept: Sequence[str], *, newer_by: int) -> bool:
    """Whether certainly neither the state was built upon the one that is kept nor that upon it, by both their marks.

    A state that is newer by more than its trail tells of counts as built upon: a journal may be an older copy.
    """
    ahead, behind = (state, kept) if newer_by >= 0 else (kept, state)
    return any(one != other for one, other in zip(ahead[abs(newer_by) :], behind, strict=False))


def is_out_of_sight(kept: Sequence[str], *, newer_by: int) -> bool:
    """Whether a state comes so late that the trail of the one that is kept tells no more of it."""
    return SHORTEST <= len(kept) <= -newer_by
