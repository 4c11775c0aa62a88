"""The words of a route's ``transforms:``."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from edge.vocabulary import Word

FieldName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}(?!\n)$")]
FieldValue = Annotated[str, Meta(max_length=1024, pattern=r"^[\x20-\x7e]*(?!\n)$")]
Place = Annotated[str, Meta(max_length=200, pattern=r"^[^.\x00-\x1f]+(\.[^.\x00-\x1f]+){0,7}(?!\n)$")]
"""A member of a JSON object by the names that lead to it: ``customer.name``. A list on the way means each of its
items, and a document that is a list means each of its own; so does a list in a list."""

Member = Annotated[str, Meta(max_length=80, pattern=r"^[^.\x00-\x1f]+(?!\n)$")]


class FieldChanges(Word, frozen=True, kw_only=True):
    """Changes of header fields, in this order.

    Those of ``remove`` go, those of ``rename`` change their name, those of ``set`` replace whatever was there, those of
    ``add`` stand beside it.
    """

    remove: list[FieldName] = field(default_factory=list)
    rename: dict[FieldName, FieldName] = field(default_factory=dict)
    set: dict[FieldName, FieldValue] = field(default_factory=dict)
    add: dict[FieldName, FieldValue] = field(default_factory=dict)


class JsonChanges(Word, frozen=True, kw_only=True):
    """Changes of the members of a JSON body, in this order.

    ``drop`` takes some away, ``rename`` gives others a new name where they are, ``nest`` moves members of the outer
    object into a new one, ``set`` writes members of the outer object.
    """

    drop: list[Place] = field(default_factory=list)
    rename: dict[Place, Member] = field(default_factory=dict)
    nest: dict[Member, list[Member]] = field(default_factory=dict)
    set: dict[Member, Any] = field(default_factory=dict)


class Changes(Word, frozen=True, kw_only=True):
    """What is changed in one direction."""

    headers: FieldChanges | None = None
    json: JsonChanges | None = None


class Transforms(Word, frozen=True, kw_only=True):
    """What is changed on the way there and back. The path is rewritten by the target's own ``path``."""

    request: Changes | None = None
    response: Changes | None = None
