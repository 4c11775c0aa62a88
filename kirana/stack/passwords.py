"""Draws the stack's passwords once and keeps them where only their owner can read them."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

FILE = "passwords.json"
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
    "elastic.shipper",
    "elastic.kibana",
    "kibana.key",
    "database.metrics",
    "grafana",
    "consul.first",
    "consul.gossip",
    "consul.agent",
    "consul.operator",
    "consul.edge",
    "consul.identity",
    "consul.catalog",
    "consul.cart",
    "consul.order",
    "consul.notification",
)


def draw(names: Iterable[str] = NAMES) -> dict[str, str]:
    """128 random bits for each name, as 32 hexadecimal digits."""
    return {name: secrets.token_hex(16) for name in names}


def passwords(folder: Path) -> dict[str, str]:
    """Every password by name. What was drawn before stays; a name that is new gets its own."""
    path = folder / FILE
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [name for name in NAMES if name not in known]
    if missing:
        known |= draw(missing)
        _keep(path, known)
    return known


def forget(folder: Path, names: Iterable[str]) -> None:
    """Let the next look draw these anew. Raises ``ValueError`` for a name that is none of :data:`NAMES`."""
    unwanted = set(names)
    if unknown := sorted(unwanted - set(NAMES)):
        raise ValueError(f"{', '.join(unknown)}: no such password. There are {', '.join(NAMES)}.")
    kept = {name: text for name, text in passwords(folder).items() if name not in unwanted}
    _keep(folder / FILE, kept)


def _keep(path: Path, known: dict[str, str]) -> None:
    """In one step, so that no reader finds half of them."""
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2)
    draft.replace(path)
