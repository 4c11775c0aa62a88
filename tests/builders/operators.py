"""What no front lets through from outside: one list, to which nginx and the gateway of Kubernetes are held."""

import re

import yaml

from tests.builders.manifests import ROOT

ROUTES = yaml.safe_load((ROOT / "edge" / "routes.yaml").read_text())["routes"]
_THEIRS = re.compile(r"/(admin|status|health)([./]|$)")

OPEN_AT_NGINX = frozenset({"/health/live", "/health/serving"})
"""They name no part of the shop; whoever balances or watches from outside may ask for them. The gateway knows by itself
which edges serve, and needs neither."""


def is_for_operators(path):
    return bool(_THEIRS.match(path))


FOR_OPERATORS = sorted({route["path"] for route in ROUTES if is_for_operators(route["path"])} | {"/metrics"})
"""Paths, with their variables, as the route table has them; metrics have a port of their own."""
