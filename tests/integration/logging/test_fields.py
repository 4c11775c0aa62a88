"""The fields of the templates against the Elastic Common Schema, and against what the processes say that they log."""

import json
import re
from pathlib import Path

import pytest

from shared.logs import ecs
from tests.builders import mapping
from tests.builders.typescript import node

FIELDS = Path(__file__).parents[3] / "logging" / "fields.md"

OURS = ("labels.",)
"""What the schema leaves to us; it knows labels only as keywords, and ours are numbers where one reckons with them."""

SCHEMA = """
import { createRequire } from "node:module";
const { EcsFlat } = createRequire(process.cwd() + "/")("@elastic/ecs");
const told = Object.entries(EcsFlat).map(([name, field]) => {
  return [name, { type: field.type, allowed: field.allowed_values?.map((value) => value.name) }];
});
console.log(JSON.stringify(Object.fromEntries(told)));
"""


@pytest.fixture(scope="module")
def schema():
    return json.loads(node(SCHEMA))


def written_down():
    """Every field that ``fields.md`` names: in the first column of its table, and as labels anywhere."""
    text = FIELDS.read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    names = {name for row in rows for name in re.findall(r"`([@a-z_.]+)`", row)}
    return names | set(re.findall(r"`((?:labels|url|http\.[a-z]+)\.[a-z_.]+)`", text))


def test_the_schema_is_the_whole_one(schema):
    assert len(schema) > 2000
    assert schema["event.outcome"]["allowed"] == ["failure", "success", "unknown"]


@pytest.mark.parametrize("name", sorted(name for name in mapping.named_fields() if not name.startswith(OURS)))
def test_a_field_of_the_schema_has_the_schemas_type(schema, name):
    assert name in schema, "the schema knows no such field: make it a label"
    assert mapping.named_fields()[name]["type"] == schema[name]["type"]


@pytest.mark.parametrize("name", sorted(written_down()))
def test_a_field_that_is_written_down_is_mapped(name):
    """One of the schema by name; a label by its name or by the rules for labels, which take any text."""
    assert name in mapping.named_fields() or (name.startswith(OURS) and mapping.mapped(name, "text"))


def test_what_is_written_down_is_found():
    assert len(written_down()) > 25


@pytest.mark.parametrize(
    ("value", "kind"),
    [("text", "keyword"), (True, "keyword"), (12, "long"), (0.5, "double")],
    ids=["text", "boolean", "whole", "fraction"],
)
def test_a_label_nobody_named_is_taken_as_what_it_is(value, kind):
    assert mapping.mapped("labels.never_heard_of", value)["type"] == kind


def test_the_places_that_lines_are_nested_by_are_in_the_schema(schema):
    tops = {name.partition(".")[0] for name in schema}

    assert tops >= ecs._OBJECTS, ecs._OBJECTS - tops


def test_a_field_is_a_whole_number_in_a_line_exactly_if_it_is_one_in_the_schema(schema):
    assert {schema[name]["type"] for name in ecs._WHOLE_NUMBERS} == {"long"}
    assert {name for name, field in mapping.named_fields().items() if field["type"] == "long"} <= (
        ecs._WHOLE_NUMBERS | {name for name in mapping.named_fields() if name.startswith(OURS)}
    )
