"""What a cart remembers of operations that came with a key: where it lies in Redis, how long, and how much of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import redis

from rpc_services.cart.domain import Owner

SCRIPTS = Path(__file__).parent / "scripts"

MEMORY = timedelta(hours=24)
"""As long as the interface promises: within it a repetition finds what became of its operation."""

MOST_BYTES = 4_000_000
"""Per cart: about 5,000 answers of a cart with one line, 700 of one with 200. Nothing is forgotten for want of room."""


@dataclass(frozen=True)
class Places:
    """The keys of what is remembered; all lie on the server of the cart."""

    records: str
    order: str
    running: str
    operation: str


def places_of(owner: Owner, operation_id: str) -> Places:
    """Where this operation of this cart is remembered. The id itself, which has the client's key in it, is not kept."""
    operation = sha256(operation_id.encode()).hexdigest()[:32]
    return Places(
        records=f"cart-operations:{owner.key}",
        order=f"cart-operations-order:{owner.key}",
        running=f"cart-running:{owner.key}:{operation}",
        operation=operation,
    )


def script(name: str) -> Callable[..., Any]:
    """A script that knows how records are written. It is told its ``client`` with each call."""
    text = "".join((SCRIPTS / part).read_text(encoding="utf-8") for part in ("records.lua", name))
    client = redis.Redis()  # registers nothing and connects nowhere: a script only needs one for its encoding
    return client.register_script(text)
