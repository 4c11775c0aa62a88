"""The demo's tables."""

import sqlalchemy as sa
from alembic import op

from shared.messaging.tables import create_messaging_tables, drop_messaging_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_messaging_tables(op)
    for name in ("things", "handled"):
        op.create_table(
            name, sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True), sa.Column("name", sa.Text)
        )
    op.create_table("ticks", sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()))


def downgrade() -> None:
    for name in ("ticks", "handled", "things"):
        op.drop_table(name)
    drop_messaging_tables(op)
