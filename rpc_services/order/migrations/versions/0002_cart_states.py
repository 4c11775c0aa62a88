"""Each state of a cart is ordered at most once.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("cart_state", sa.Text))
    standing = sa.text("status <> 'rejected'")
    op.create_index("uq_orders_cart_state", "orders", ["cart_state"], unique=True, postgresql_where=standing)


def downgrade() -> None:
    op.drop_index("uq_orders_cart_state", "orders")
    op.drop_column("orders", "cart_state")
