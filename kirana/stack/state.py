"""Tells every command where a stack listens and with which credentials: what ``kirana status --json`` prints."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kirana.stack.faults import NotRunning

CHECKOUT = Path(__file__).resolve().parents[2]
FILE_NAME = "stack.json"


@dataclass(frozen=True)
class StackState:
    """Addresses and credentials of one stack: ``postgres`` by service, ``metrics`` by program."""

    home: Path
    edge_url: str
    admin_username: str
    admin_password: str
    amqp: str
    management: str
    redis_carts: list[str]
    redis_edge: str
    postgres: dict[str, str]
    consul: str | None
    smtp: str
    metrics: dict[str, str] = field(default_factory=dict)

    @property
    def spool(self) -> Path:
        """Where every process appends its log lines."""
        return self.home / "spool"

    @property
    def mail(self) -> Path:
        """Where the SMTP sink keeps what it received."""
        return self.home / "mail"

    def to_json(self) -> dict[str, Any]:
        """The stable shape that scripts read; ``kirana status`` adds ``processes``."""
        return {
            "edge": {"url": self.edge_url},
            "admin": {"username": self.admin_username, "password": self.admin_password},
            "rabbitmq": {"amqp": self.amqp, "management": self.management},
            "redis_carts": self.redis_carts,
            "redis_edge": self.redis_edge,
            "postgres": self.postgres,
            "consul": self.consul,
            "smtp": self.smtp,
            "metrics": self.metrics,
            "home": str(self.home),
        }


def home() -> Path:
    """``KIRANA_HOME``, or ``.kirana`` in the checkout."""
    chosen = os.environ.get("KIRANA_HOME")
    return Path(chosen).resolve() if chosen else CHECKOUT / ".kirana"


def save(state: StackState) -> None:
    """Replace the file of ``state``'s home in one step; only its owner may read it."""
    draft = state.home / f".{FILE_NAME}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(state.to_json(), file, indent=2)
    draft.replace(state.home / FILE_NAME)


def load(folder: Path | None = None) -> StackState:
    """The stack that was started in ``folder``. Raises :class:`NotRunning` when none ever was."""
    folder = folder or home()
    try:
        found = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotRunning(f"There is no stack in {folder}.", mend="kirana up") from None
    return StackState(
        home=Path(found["home"]),
        edge_url=found["edge"]["url"],
        admin_username=found["admin"]["username"],
        admin_password=found["admin"]["password"],
        amqp=found["rabbitmq"]["amqp"],
        management=found["rabbitmq"]["management"],
        redis_carts=found["redis_carts"],
        redis_edge=found["redis_edge"],
        postgres=found["postgres"],
        consul=found["consul"],
        smtp=found["smtp"],
        metrics=found.get("metrics", {}),
    )
