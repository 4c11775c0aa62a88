"""Says what the checked-in templates make of a field, as Elasticsearch would when a line comes."""

import fnmatch
import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "logging" / "elasticsearch"

TAKEN = {
    "long": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "double": lambda value: type(value) in {int, float},
    "date": lambda value: isinstance(value, str),
    "ip": lambda value: isinstance(value, str),
    "keyword": lambda value: isinstance(value, str | int | float | bool),
    "constant_keyword": lambda value: isinstance(value, str),
    "wildcard": lambda value: isinstance(value, str),
    "match_only_text": lambda value: isinstance(value, str),
}
"""Which JSON value a type takes without losing it."""

JSON_TYPES = {str: "string", bool: "boolean", int: "long", float: "double"}


def _leaves(properties, above=""):
    for name, field in properties.items():
        if "properties" in field:
            yield from _leaves(field["properties"], f"{above}{name}.")
        else:
            yield above + name, field


@cache
def mappings():
    return json.loads((FOLDER / "fields.json").read_text(encoding="utf-8"))["template"]["mappings"]


@cache
def named_fields():
    """Every field that the template names, and how it is mapped."""
    return dict(_leaves(mappings()["properties"]))


def mapped(name, value):
    """How a field is mapped that comes with such a value; ``None`` where Elasticsearch would have to guess."""
    known = named_fields()
    if name in known:
        return known[name]
    for template in mappings()["dynamic_templates"]:
        (rule,) = template.values()
        kinds = rule["match_mapping_type"]
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if fnmatch.fnmatchcase(name, rule.get("path_match", "*")) and JSON_TYPES[type(value)] in kinds:
            return rule["mapping"]
    return None


def fields_of(line, above=""):
    """Every field of a log line with each of its values."""
    for name, value in line.items():
        if isinstance(value, dict):
            yield from fields_of(value, f"{above}{name}.")
        else:
            yield from ((above + name, part) for part in (value if isinstance(value, list) else [value]))
