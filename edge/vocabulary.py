"""What the vocabularies of the route table are made of: strict structs, and the few kinds of figures and names."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1, le=999_999_999_999_999)]  # the greatest integer of a Structured Field (RFC 9651)
Seconds = Annotated[float, Meta(gt=0, le=60)]
Label = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*(?!\n)$")]


class Word(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the vocabulary: an unknown key is a fault, never ignored."""
