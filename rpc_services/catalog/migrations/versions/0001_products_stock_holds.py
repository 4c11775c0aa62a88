"""Categories, products, stock with its ledger, and the holds of orders.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from shared.messaging.tables import create_messaging_tables, drop_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
LIVE = sa.text("deleted_at IS NULL")
SEARCH = (
    "setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('simple', sku), 'A') || "
    "setweight(to_tsvector('english', description), 'C')"
)


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    create_messaging_tables(op)
    _create_categories()
    _create_products()
    _create_stock()
    _create_reservations()


def downgrade() -> None:
    for table in ("stock_movements", "reservation_lines", "reservations", "stock", "products", "categories"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change")
    drop_messaging_tables(op)


def _create_categories() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("parent_id", sa.Integer),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_categories"),
        sa.ForeignKeyConstraint(["parent_id"], ["categories.id"], name="fk_categories_parent_id_categories"),
        sa.UniqueConstraint(
            "parent_id", "name", name="uq_categories_parent_id_name", postgresql_nulls_not_distinct=True
        ),
    )


def _create_products() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("price_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("category_id", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("deleted_at", MOMENT),
        sa.Column("search", TSVECTOR, sa.Computed(SEARCH, persisted=True)),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.ForeignKeyConstraint(["category_id"], ["categories.id"], name="fk_products_category_id_categories"),
        sa.CheckConstraint("price_minor >= 0", name=op.f("ck_products_price_minor")),
        sa.CheckConstraint("version > 0", name=op.f("ck_products_version")),
    )
    name = sa.text('left(name, 100) COLLATE "und-x-icu"')
    op.create_index("uq_products_sku", "products", ["sku"], unique=True, postgresql_where=LIVE)
    op.create_index("ix_products_name", "products", [name, "id"], postgresql_where=LIVE)
    op.create_index("ix_products_price", "products", ["price_minor", "id"], postgresql_where=LIVE)
    op.create_index("ix_products_category", "products", ["category_id", "id"], postgresql_where=LIVE)
    op.create_index("ix_products_search", "products", ["search"], postgresql_using="gin")
    trigrams = {"name": "gin_trgm_ops"}
    op.create_index("ix_products_name_trigrams", "products", ["name"], postgresql_using="gin", postgresql_ops=trigrams)


def _create_stock() -> None:
    op.create_table(
        "stock",
        sa.Column("product_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("on_hand", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("product_id", name="pk_stock"),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="fk_stock_product_id_products"),
        sa.CheckConstraint("0 <= reserved AND reserved <= on_hand", name=op.f("ck_stock_reserved")),
    )
    op.create_table(
        "stock_movements",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("product_id", sa.BigInteger, nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("order_id", sa.Text),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stock_movements"),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="fk_stock_movements_product_id_products"),
        sa.CheckConstraint("reason IN ('counted', 'sold', 'returned')", name=op.f("ck_stock_movements_reason")),
    )
    op.create_index(
        "uq_stock_movements_order",
        "stock_movements",
        ["order_id", "product_id", "reason"],
        unique=True,
        postgresql_where=sa.text("order_id IS NOT NULL"),
    )
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'The ledger is only ever added to.'; END $$
    """)
    op.execute("""
        CREATE TRIGGER stock_movements_are_final BEFORE UPDATE OR DELETE ON stock_movements
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """)


def _create_reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("order_id", name="pk_reservations"),
        sa.CheckConstraint("state IN ('held', 'sold', 'released', 'expired')", name=op.f("ck_reservations_state")),
    )
    held = sa.text("state = 'held'")
    op.create_index("ix_reservations_held", "reservations", ["expires_at"], postgresql_where=held)
    op.create_table(
        "reservation_lines",
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("product_id", sa.BigInteger, nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("product", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "product_id", name="pk_reservation_lines"),
        sa.ForeignKeyConstraint(
            ["order_id"], ["reservations.order_id"], name="fk_reservation_lines_order_id_reservations"
        ),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="fk_reservation_lines_product_id_products"),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_reservation_lines_quantity")),
    )
