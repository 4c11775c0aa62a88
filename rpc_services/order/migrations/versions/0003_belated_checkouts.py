"""Checkouts that are pending, or were taken up again, are found by their buyer, however old they are.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    belated = sa.text("cart_state IS NOT NULL AND (status = 'pending' OR attempts > 0)")
    op.create_index("ix_orders_belated", "orders", ["user_id"], postgresql_where=belated)


def downgrade() -> None:
    op.drop_index("ix_orders_belated", "orders")
