"""Grants of clients that ended before their time.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False)


def upgrade() -> None:
    op.create_table(
        "ended_grants",
        sa.Column("id", ID, nullable=False),
        sa.Column("client_id", ID, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ended_grants"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name="fk_ended_grants_client_id_clients", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_ended_grants_client_id", "ended_grants", ["client_id"])
    op.create_index("ix_ended_grants_ended_at", "ended_grants", ["ended_at"])


def downgrade() -> None:
    op.drop_table("ended_grants")
