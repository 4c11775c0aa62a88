"""Orders, their items and their history.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from shared.messaging.tables import create_messaging_tables, drop_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_messaging_tables(op)
    _create_orders()
    op.create_table(
        "order_items",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("product_id", sa.BigInteger, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price", sa.BigInteger, nullable=False),
        sa.Column("product", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_order_items"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_items_order_id_orders"),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_items_quantity")),
    )
    op.create_index("ix_order_items_order_id", "order_items", ["order_id"])
    op.create_table(
        "order_history",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("axis", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_order_history"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_history_order_id_orders"),
    )
    op.create_index("ix_order_history_order_id", "order_history", ["order_id"])


def downgrade() -> None:
    for table in ("order_history", "order_items", "orders"):
        op.drop_table(table)
    drop_messaging_tables(op)


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("operation_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("payment_status", sa.Text, nullable=False),
        sa.Column("fulfilment_status", sa.Text, nullable=False),
        sa.Column("lines", JSONB, nullable=False),
        sa.Column("units", sa.Integer, nullable=False),
        sa.Column("terms", JSONB, nullable=False),
        sa.Column("currency", sa.Text),
        sa.Column("subtotal", sa.BigInteger),
        sa.Column("tax", sa.BigInteger),
        sa.Column("shipping", sa.BigInteger),
        sa.Column("total", sa.BigInteger),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("resume_at", MOMENT, nullable=False),
        sa.Column("release_due", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("number", name="uq_orders_number"),
        sa.UniqueConstraint("operation_id", name="uq_orders_operation_id"),
        sa.CheckConstraint("total = subtotal + tax + shipping", name=op.f("ck_orders_total_adds_up")),
        sa.CheckConstraint(
            "status IN ('pending', 'rejected') OR total IS NOT NULL", name=op.f("ck_orders_priced_when_acknowledged")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'confirmed', 'cancelled', 'rejected')", name=op.f("ck_orders_status")
        ),
    )
    op.create_index("ix_orders_user_id_id", "orders", ["user_id", "id"])
    lying = sa.text("status = 'pending' OR release_due")
    op.create_index("ix_orders_lying", "orders", ["resume_at"], postgresql_where=lying)
