"""Fills ``rabbitmq/definitions.json``: password hashes, and which methods each process kind may call."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kirana.stack.state import CHECKOUT
from shared.contracts import cart, catalog, exchanges, frames, identity, notification, order
from shared.contracts.method import Methods

TEMPLATE = CHECKOUT / "rabbitmq" / "definitions.json"
VHOST = "kirana"

METHODS: Mapping[str, Methods] = {
    contract.METHODS.service: contract.METHODS for contract in (identity, catalog, cart, order, notification)
}

CALLS: Mapping[str, tuple[str, ...]] = {
    "edge": ("identity", "catalog", "cart", "order", "notification"),
    "identity": (),
    "catalog": (),
    "cart": ("catalog",),
    "order": ("catalog", "cart", "identity"),
    "notification": ("identity", "order"),
}
"""Who calls whom. A service that needs another one's methods is added here."""

REPLY_KEY = r"(amq\.gen-)?[A-Za-z0-9_-]+"
"""Replies go to a key without a dot or a wildcard: nobody can bind, or answer to, somebody else's requests."""


def render(passwords: Mapping[str, str], template: Path = TEMPLATE) -> str:
    """The definitions for a broker whose users have these ``passwords``, as JSON."""
    found = _read(template)
    for user in found["users"]:
        user["password_hash"] = password_hash(passwords[user["name"]])
    return json.dumps(found, indent=2)


def render_without_users(template: Path = TEMPLATE) -> str:
    """The same for a broker that has its users already."""
    return json.dumps({name: value for name, value in _read(template).items() if name != "users"}, indent=2)


def _read(template: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(template.read_text(encoding="utf-8"))
    found["topic_permissions"] += [
        {"user": user, "vhost": VHOST, "exchange": exchanges.CALLS, "write": may_send(user), "read": may_bind(user)}
        for user in CALLS
    ]
    return found


def may_send(user: str) -> str:
    """The routing keys ``user`` may publish to: methods of the services it calls, and replies if it is a service."""
    keys = [*_callable_methods(CALLS[user])]
    if user in METHODS:
        keys.append(REPLY_KEY)
    return _any_of(keys)


def may_bind(user: str) -> str:
    """The routing keys ``user`` may bind a queue to: its own calls if it is a service, and replies."""
    keys = [REPLY_KEY]
    if user in METHODS:
        keys.append(re.escape(f"{user}.*"))
    return _any_of(keys)


def _callable_methods(services: Iterable[str]) -> Iterable[str]:
    """One by one, or in frames: of those the services themselves refuse what is for operators only."""
    for service in services:
        names = [method.name for method in METHODS[service] if not method.operator_only]
        yield rf"{service}\.({'|'.join([*names, frames.BATCH])})"


def _any_of(patterns: list[str]) -> str:
    return f"^({'|'.join(patterns)})$"


def password_hash(password: str) -> str:
    """As RabbitMQ keeps passwords: base64 of a 4-byte salt and the SHA-256 of salt and password.

    The salt follows from the password, which is itself random: the same passwords render the same definitions.
    """
    salt = hashlib.sha256(f"salt of {password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
