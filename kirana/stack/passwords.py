"""Draws the stack's passwords once and keeps them where only their owner can read them."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

NAMES = (
    "admin",
    "postgres",
    "database.identity",
    "database.catalog",
    "database.order",
    "database.notification",
    "amqp.edge",
    "amqp.identity",
    "amqp.catalog",
    "amqp.cart",
    "amqp.order",
    "amqp.notification",
    "amqp.operator",
    "redis.carts",
    "redis.edge",
    "identity.key_passphrase",
    "edge.cursor_secret",
    "elastic",
)


def passwords(folder: Path) -> dict[str, str]:
    """Every password by name. What was drawn before stays; a name that is new gets its own."""
    path = folder / "passwords.json"
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [name for name in NAMES if name not in known]
    if missing:
        known |= {name: secrets.token_hex(16) for name in missing}
        draft = path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=2)
        draft.replace(path)
    return known
