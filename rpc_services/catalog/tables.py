"""The tables of the catalog as queries see them; the migrations create them with the same names."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from shared.persistence.naming import NAMING

NAME_KEY = 'left(name, 100) COLLATE "und-x-icu"'
"""The Unicode root collation: people expect "apple" beside "Äpfel", whatever locale the cluster was made with.

A hundred characters order a list: a cursor must stay short whatever script the name is written in.
"""

SEARCH = (
    "setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('simple', sku), 'A') || "
    "setweight(to_tsvector('english', description), 'C')"
)
LIVE = text("deleted_at IS NULL")

metadata = MetaData(naming_convention=NAMING)

categories = Table(
    "categories",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("parent_id", Integer, ForeignKey("categories.id")),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    UniqueConstraint("parent_id", "name", postgresql_nulls_not_distinct=True),
)

products = Table(
    "products",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("sku", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("category_id", Integer, ForeignKey("categories.id"), nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
    Column("search", TSVECTOR, Computed(SEARCH, persisted=True)),
    CheckConstraint("price_minor >= 0", name="price_minor"),
    CheckConstraint("version > 0", name="version"),
    Index("uq_products_sku", "sku", unique=True, postgresql_where=LIVE),
    Index("ix_products_name", text(NAME_KEY), "id", postgresql_where=LIVE),
    Index("ix_products_price", "price_minor", "id", postgresql_where=LIVE),
    Index("ix_products_category", "category_id", "id", postgresql_where=LIVE),
    Index("ix_products_search", "search", postgresql_using="gin"),
    Index("ix_products_name_trigrams", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
)

stock = Table(
    "stock",
    metadata,
    Column(
        "product_id",
        BigInteger,
        ForeignKey("products.id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("0 <= reserved AND reserved <= on_hand", name="reserved"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("state IN ('held', 'sold', 'released', 'expired')", name="state"),
    Index("ix_reservations_held", "expires_at", postgresql_where=text("state = 'held'")),
)

reservation_lines = Table(
    "reservation_lines",
    metadata,
    Column(
        "order_id",
        Text,
        ForeignKey("reservations.order_id"),
        primary_key=True,
    ),
    Column(
        "product_id",
        BigInteger,
        ForeignKey("products.id"),
        primary_key=True,
    ),
    Column("quantity", Integer, nullable=False),
    Column("product", JSONB, nullable=False),
    CheckConstraint("quantity > 0", name="quantity"),
)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("product_id", BigInteger, ForeignKey("products.id"), nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("order_id", Text),
    Column("at", DateTime(timezone=True), nullable=False),
    CheckConstraint("reason IN ('counted', 'sold', 'returned')", name="reason"),
    Index(
        "uq_stock_movements_order",
        "order_id",
        "product_id",
        "reason",
        unique=True,
        postgresql_where=text("order_id IS NOT NULL"),
    ),
)
