"""Loads the route table, checks it against the contracts, and finds the route of a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from edge.arguments import Binding
from edge.checks import BadRoutes, Checked, check_table
from edge.policies import RateClass, RoutePolicy
from shared.contracts.method import Method

__all__ = ["BadRoutes", "NotRouted", "Route", "RouteTable", "load"]


@dataclass(frozen=True)
class Route:
    """One compiled route. ``method`` is the RPC it leads to, ``None`` for a hand-written target."""

    policy: RoutePolicy
    method: Method | None
    binding: Binding
    answer: Any
    mutating: bool
    segments: tuple[str, ...]
    by_address: RateClass | None
    by_caller: RateClass | None


@dataclass(frozen=True)
class NotRouted:
    """Nothing answers: with ``allowed`` empty the path does not exist, else only these methods do."""

    allowed: tuple[str, ...]


@dataclass
class RouteTable:
    """All routes. A trailing slash is accepted on every path and changes nothing."""

    routes: tuple[Route, ...]
    _fixed: dict[tuple[str, ...], dict[str, Route]] = field(default_factory=dict)
    _variable: dict[int, list[tuple[tuple[str, ...], dict[str, Route]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for route in self.routes:
            self._by_method(route.segments)[route.policy.method] = route

    def find(self, method: str, path: str) -> tuple[Route | NotRouted, dict[str, str]]:
        """The route with the path's variables, or why there is none. ``HEAD`` goes where ``GET`` does."""
        segments = _split(path)
        by_method, variables = self._look_up(segments) if segments is not None else ({}, {})
        route = by_method.get("GET" if method == "HEAD" else method)
        if route is not None:
            return route, variables
        return NotRouted(_allowed(by_method)), {}

    def _look_up(self, segments: tuple[str, ...]) -> tuple[dict[str, Route], dict[str, str]]:
        fixed = self._fixed.get(segments)
        if fixed is not None:
            return fixed, {}
        for template, by_method in self._variable.get(len(segments), ()):
            if all(_fits(part, segment) for part, segment in zip(template, segments, strict=True)):
                pairs = zip(template, segments, strict=True)
                return by_method, {part[1:-1]: segment for part, segment in pairs if part.startswith("{")}
        return {}, {}

    def _by_method(self, segments: tuple[str, ...]) -> dict[str, Route]:
        if not any(segment.startswith("{") for segment in segments):
            return self._fixed.setdefault(segments, {})
        shape = tuple("{}" if segment.startswith("{") else segment for segment in segments)
        alike = self._variable.setdefault(len(segments), [])
        for template, by_method in alike:
            if tuple("{}" if segment.startswith("{") else segment for segment in template) == shape:
                return by_method
        alike.append((segments, {}))
        return alike[-1][1]


def load(path: Path) -> RouteTable:
    """Read and compile the table. Raises :class:`BadRoutes` naming every fault of every route."""
    return RouteTable(tuple(_compiled(checked) for checked in check_table(path)))


def _compiled(checked: Checked) -> Route:
    policy, limits, rates = checked.policy, checked.policy.limits, checked.rates
    return Route(
        policy=policy,
        method=checked.method,
        binding=checked.binding,
        answer=checked.answer,
        mutating=checked.mutating,
        segments=tuple(policy.path.strip("/").split("/")),
        by_address=rates[limits.address] if limits else None,
        by_caller=rates[limits.caller] if limits and limits.caller else None,
    )


def _split(path: str) -> tuple[str, ...] | None:
    """The path's segments, decoded one by one; ``None`` when no route could ever mean this."""
    trimmed = path[1:-1] if len(path) > 1 and path.endswith("/") else path[1:]
    try:
        segments = tuple(unquote(segment, errors="strict") for segment in trimmed.split("/"))
    except UnicodeDecodeError:
        return None
    return segments if all(segment.isprintable() for segment in segments) else None


def _fits(part: str, segment: str) -> bool:
    return part == segment or (part.startswith("{") and segment != "")


def _allowed(by_method: dict[str, Route]) -> tuple[str, ...]:
    if not by_method:
        return ()
    head = ["HEAD"] if "GET" in by_method else []
    return tuple(sorted([*by_method, *head, "OPTIONS"]))
