"""The route table's JSON Schema, so that an editor completes its words and marks the wrong ones while one types."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.callables import SERVICES
from edge.policies import RateClass, RoutePolicy, Table
from shared.contracts.identity import ADMIN_SCOPES

Json = dict[str, Any]
REF = "#/$defs/{name}"


def table_schema() -> Json:
    """Made from the vocabulary and the contracts. What several words must agree on, only the edge's own check knows."""
    _, definitions = msgspec.json.schema_components([RateClass, RoutePolicy], ref_template=REF)
    words = definitions["RoutePolicy"]["properties"]
    words["call"]["anyOf"] = [{"enum": _methods()}, {"type": "null"}]
    words["scopes"]["items"] = {"enum": sorted(ADMIN_SCOPES)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The route table of the edge",
        "description": Table.__doc__,
        "type": "object",
        "required": ["rates", "routes"],
        "additionalProperties": False,
        "properties": {
            "rates": {
                "type": "object",
                "description": "Rate classes by name.",
                "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
                "additionalProperties": {"$ref": REF.format(name="RateClass")},
            },
            "unrouted": {
                "type": "string",
                "description": "The rate class, by address, of requests that no route takes.",
                "pattern": "^[a-z][a-z0-9_]*$",
            },
            "routes": {"type": "array", "items": {"$ref": REF.format(name="RoutePolicy")}},
        },
        "$defs": definitions,
    }


def schema_text() -> str:
    """As it stands in ``edge/routes.schema.json``."""
    return msgspec.json.format(msgspec.json.encode(table_schema(), order="sorted"), indent=2).decode() + "\n"


def _methods() -> list[str]:
    """Every method that a route may lead to."""
    return sorted(
        f"{service}.{method.name}"
        for service, methods in SERVICES.items()
        for method in methods
        if not method.operator_only
    )
