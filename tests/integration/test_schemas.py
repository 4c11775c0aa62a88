"""The migrations of every service make exactly the tables that its queries see."""

from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from shared.messaging.tables import metadata as messaging
from tests.builders.postgres import an_engine_of

BEYOND_ALEMBIC = {"ix_products_name"}
"""It compares the text of expressions, which PostgreSQL writes in its own way."""


def is_compared(_thing, name, _kind, _reflected, _other):
    return name not in BEYOND_ALEMBIC


@pytest.mark.parametrize("service", ["identity", "catalog", "order", "notification"])
def test_the_migrations_make_exactly_the_tables_that_the_code_knows(postgres, service):
    known = [import_module(f"rpc_services.{service}.tables").metadata, messaging]

    with an_engine_of(service, postgres) as engine, engine.connect() as connection:
        options = {"include_object": is_compared, "compare_type": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), known)

    assert differences == []
