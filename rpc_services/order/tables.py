"""The tables of the order service, beside those of messaging."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.persistence.naming import NAMING

metadata = MetaData(naming_convention=NAMING)

MOMENT = DateTime(timezone=True)

orders = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("operation_id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),
    Column("payment_status", Text, nullable=False),
    Column("fulfilment_status", Text, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("units", Integer, nullable=False),
    Column("terms", JSONB, nullable=False),
    Column("currency", Text),
    Column("subtotal", BigInteger),
    Column("tax", BigInteger),
    Column("shipping", BigInteger),
    Column("total", BigInteger),
    Column("version", Integer, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("updated_at", MOMENT, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("resume_at", MOMENT, nullable=False),
    Column("release_due", Boolean, nullable=False, server_default=text("false")),
    Column("cart_state", Text),
    CheckConstraint("total = subtotal + tax + shipping", name="total_adds_up"),
    CheckConstraint("status IN ('pending', 'rejected') OR total IS NOT NULL", name="priced_when_acknowledged"),
    CheckConstraint("status IN ('pending', 'confirmed', 'cancelled', 'rejected')", name="status"),
)
Index("uq_orders_cart_state", orders.c.cart_state, unique=True, postgresql_where=text("status <> 'rejected'"))
Index("ix_orders_user_id_id", orders.c.user_id, orders.c.id)
Index("ix_orders_lying", orders.c.resume_at, postgresql_where=text("status = 'pending' OR release_due"))
Index(
    "ix_orders_belated",
    orders.c.user_id,
    postgresql_where=text("cart_state IS NOT NULL AND (status = 'pending' OR attempts > 0)"),
)

order_items = Table(
    "order_items",
    metadata,
    Column("id", Text, primary_key=True),
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("product_id", BigInteger, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    Column("product", JSONB, nullable=False),
    CheckConstraint("quantity > 0", name="quantity"),
)

order_history = Table(
    "order_history",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False, index=True),
    Column("at", MOMENT, nullable=False),
    Column("axis", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
