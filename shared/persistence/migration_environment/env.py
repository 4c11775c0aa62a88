"""Alembic runs this file for every migration command; the connection comes from ``shared.persistence.migrations``."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
