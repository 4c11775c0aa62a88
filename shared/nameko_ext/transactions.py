"""Gives the doors of a service their transactions."""

from __future__ import annotations

from typing import Any

from nameko.extensions import DependencyProvider

from shared.messaging.transactions import Scope
from shared.nameko_ext.database import Database


class Transactions(DependencyProvider):
    """Injects a :class:`~shared.messaging.transactions.Scope` on the database of ``KIRANA_DATABASE_URL``."""

    database = Database()

    def get_dependency(self, worker_ctx: Any) -> Scope:
        """The scope is the same for every call; its sessions are not."""
        del worker_ctx
        return self.database.scope
