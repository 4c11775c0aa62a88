"""Turns a refusal that came over the wire, or out of a table, back into its class by its code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import shared.contracts.cart
import shared.contracts.catalog
import shared.contracts.identity
import shared.contracts.notification
import shared.contracts.order  # noqa: F401  # refusals are known once their contracts are imported
from shared.contracts.refusals import Refusal

PATH_PREFIX = "kirana."


def is_refusal(error: Mapping[str, Any]) -> bool:
    """Whether a reply's error is one of the shop's refusals rather than a fault of stock Nameko."""
    arguments = error.get("exc_args")
    return (
        str(error.get("exc_path", "")).startswith(PATH_PREFIX)
        and isinstance(arguments, list)
        and len(arguments) == len(("code", "sentence", "details"))
        and isinstance(arguments[2], dict)
    )


def from_wire(error: Mapping[str, Any]) -> Refusal:
    """The inverse of ``Refusal.to_wire``. A code nobody here knows gives a class of its own with that code."""
    code, sentence, details = error["exc_args"]
    refusal = class_of(str(code))(str(sentence))
    refusal.details = dict(details)
    return refusal


@lru_cache(maxsize=256)
def class_of(code: str) -> type[Refusal]:
    """The class that carries this code."""
    for kind in _all(Refusal):
        if getattr(kind, "code", None) == code:
            return kind
    return type("UnknownRefusal", (Refusal,), {"code": code, "sentence": "The service refused."})


def _all(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for child in kind.__subclasses__():
        yield child
        yield from _all(child)
