from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from rpc_services.catalog.tables import metadata


def test_the_migrations_make_the_tables_that_queries_see(engine):
    ours = {"categories", "products", "stock", "reservations", "reservation_lines", "stock_movements"}

    def include(_, name, kind, __, ___):
        if kind == "index" and name == "ix_products_name":
            return False  # Alembic compares the text of expressions, which PostgreSQL writes in its own way
        return kind != "table" or name in ours

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": include, "compare_type": True})
        differences = compare_metadata(context, metadata)

    assert differences == []
