"""Describes a route to an HTTP service as far as the edge knows it: the answer is the service's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.upstreams.faults import VARIABLE

if TYPE_CHECKING:
    from edge.policies import RoutePolicy

ANYTHING: dict[str, dict[str, Any]] = {"*/*": {}}


def http_parameters(policy: RoutePolicy) -> list[dict[str, Any]]:
    """The path's variables: any text that is no path of its own."""
    text = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": text} for name in VARIABLE.findall(policy.path)]


def http_answer() -> dict[str, Any]:
    """Whatever the service answers passes through."""
    return {"default": {"description": "The answer of the service behind this.", "content": ANYTHING}}


def http_body(policy: RoutePolicy) -> dict[str, Any]:
    """A body of any kind, where the method has one."""
    return {} if policy.method == "GET" else {"requestBody": {"required": False, "content": ANYTHING}}
