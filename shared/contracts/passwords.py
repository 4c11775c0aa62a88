"""Which passwords are too easily guessed to be taken: the short, the common, the repeated, one's own name."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Annotated, Any

from msgspec import Meta

from shared.contracts.common_passwords import COMMON

SHORTEST = 12
LONGEST = 1024
FEWEST_DISTINCT = 5
UNGUESSED = 8
"""So many characters must remain when the owner's own names are taken out."""

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p")
_LEET = str.maketrans("013457@$!", "oieastasi")

Fault = dict[str, str]

AnyPassword = Annotated[str, Meta(max_length=LONGEST)]
"""One that is to be checked: whatever rules it was chosen under."""

ChosenPassword = Annotated[str, Meta(max_length=LONGEST, extra_json_schema={"minLength": SHORTEST})]
"""One that is chosen now. Descriptions tell its length, and :func:`faults_of` judges it with all else that is wrong: as
a rule of the type it would hide what only the service can know, that the current password is wrong."""


def normalised(password: str) -> str:
    """The same characters from every keyboard (NFKC, as NIST SP 800-63B advises)."""
    return unicodedata.normalize("NFKC", password)


def faults_of(
    password: str, again: str, *, own_names: Collection[str], common: Collection[str] = COMMON
) -> list[Fault]:
    """Everything that is wrong with a new password, with JSON pointers; empty when it is good."""
    faults = [{"pointer": "/password", "detail": each} for each in _weaknesses(password, own_names, common)]
    if password != again:
        faults.append({"pointer": "/password2", "detail": "The two passwords are not the same."})
    return faults


def names_of(username: str, email: str) -> tuple[str, ...]:
    """Those that the owner's password must not consist of."""
    return username, email, email.partition("@")[0]


def faults_in(given: Mapping[str, Any]) -> list[Fault]:
    """What can be said of the new password of a request that is bad elsewhere, and perhaps not whole."""
    password, again, username, email = (given.get(name) for name in ("password", "password2", "username", "email"))
    if not isinstance(password, str) or len(password) > LONGEST:
        return []
    names = names_of(_text(username), _text(email))
    return faults_of(password, again if isinstance(again, str) else password, own_names=names)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _weaknesses(password: str, own_names: Collection[str], common: Collection[str]) -> list[str]:
    whole = normalised(password)
    text = whole.casefold()[:LONGEST]  # a character may become eighteen, which nobody who guesses cares for
    found = []
    if min(len(password), len(whole)) < SHORTEST:  # as typed, too: one that becomes eighteen is one to whoever guesses
        found.append(f"A password has at least {SHORTEST} characters.")
    if _is_common(text, common):
        found.append("This is one of the most common passwords.")
    if _is_monotonous(text):
        found.append("This password repeats itself too much.")
    if _is_sequence(text):
        found.append("This password is a sequence of neighbouring characters.")
    if _is_own_name(text, own_names):
        found.append("This password is mostly your own name or address.")
    return found


def _is_common(text: str, common: Collection[str]) -> bool:
    """With digits or marks put behind it, or letters swapped for look-alikes, a common password stays common."""
    bare = text.rstrip("0123456789!?.*#$_-+ ")
    return any(each in common for each in (text, bare, text.translate(_LEET), bare.translate(_LEET)))


def _is_monotonous(text: str) -> bool:
    """``aaaaaaaaaaaa``, ``abcabcabcabc``, ``passwordpassword``: found inside its own doubling, or of few characters."""
    return len(set(text)) < FEWEST_DISTINCT or (text + text).find(text, 1) < len(text)


def _is_sequence(text: str) -> bool:
    """Whether at least three of four steps go to a neighbour: in the alphabet, among digits, or on the keyboard."""
    steps = list(pairwise(text))
    return bool(steps) and 4 * sum(_are_neighbours(*step) for step in steps) >= 3 * len(steps)


def _are_neighbours(one: str, other: str) -> bool:
    if one.isalnum() and other.isalnum() and abs(ord(one) - ord(other)) == 1:
        return True
    return any(one + other in row or other + one in row for row in _ROWS)


def _is_own_name(text: str, own_names: Collection[str]) -> bool:
    for name in sorted({name.casefold() for name in own_names if len(name) >= 3}, key=len, reverse=True):  # noqa: PLR2004 - shorter names are in everything
        if name in text and len(text.replace(name, "")) < UNGUESSED:
            return True
    return False
