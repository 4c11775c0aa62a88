"""Clients, cut-offs of whole users, disabled accounts, known visitors, and keys that are due to be replaced.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("users", sa.Column("disabled_at", MOMENT))
    op.add_column("signing_keys", sa.Column("due_at", MOMENT))
    op.create_table(
        "clients",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_digest", sa.LargeBinary, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clients"),
        sa.UniqueConstraint("name", name="uq_clients_name"),
    )
    op.create_table(
        "cutoffs",
        sa.Column("subject", ID, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("issued_before", sa.BigInteger, nullable=False),
        sa.Column("kept_session_id", ID),
        sa.Column("forget_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_cutoffs"),
    )
    op.create_table(
        "known_visitors",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_known_visitors"),
    )
    op.create_index("ix_known_visitors_until", "known_visitors", ["until"])


def downgrade() -> None:
    for table in ("known_visitors", "cutoffs", "clients"):
        op.drop_table(table)
    op.drop_column("signing_keys", "due_at")
    op.drop_column("users", "disabled_at")
