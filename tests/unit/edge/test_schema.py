import json

import jsonschema
import pytest
import yaml

from edge.schema import schema_text, table_schema
from edge.settings import PACKAGED_ROUTES
from tests.builders.tables import RATES, a_route

SHIPPED = PACKAGED_ROUTES.with_name("routes.schema.json")


def is_valid(*routes, **changes):
    table = {"rates": RATES, "routes": list(routes)} | changes
    return jsonschema.Draft202012Validator(table_schema()).is_valid(table)


def test_the_shipped_schema_is_that_of_the_vocabulary():
    assert SHIPPED.read_text() == schema_text(), "kirana routes schema > edge/routes.schema.json"


def test_the_packaged_table_names_the_schema_and_follows_it():
    text = PACKAGED_ROUTES.read_text()

    assert text.startswith("# yaml-language-server: $schema=routes.schema.json\n")
    jsonschema.Draft202012Validator(json.loads(SHIPPED.read_text())).validate(yaml.safe_load(text))


def test_a_route_as_it_should_be_is_valid():
    assert is_valid(a_route())


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"auth": "left out"},
        {"limits": "left out"},
        {"auth": "maybe"},
        {"call": "catalog.bake"},
        {"call": "catalog.audit_stock"},
        {"scopes": ["world:rule"]},
        {"deadline": 0},
        {"arguments": {"product_id": "the moon"}},
    ],
    ids=lambda changes: "-".join(str(part).replace(" ", "_") for pair in changes.items() for part in pair)[:30],
)
def test_an_editor_marks_what_the_edge_would_refuse(changes):
    assert not is_valid(a_route(**changes))


@pytest.mark.parametrize(
    "changes", [{"rates": {"Not a name": RATES["browse"]}}, {"colour": "red"}], ids=["rate", "key"]
)
def test_outside_the_routes_too(changes):
    assert not is_valid(a_route(), **changes)
