"""Loads the route table, checks it against the contracts, and finds the route of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from edge import health_routes
from edge.access import AccessList
from edge.arguments import Binding
from edge.checks import Checked, check_table
from edge.document import read_document
from edge.faults import BadRoutes, Fault
from edge.limiting.limits import Limit
from edge.places import Places
from edge.policies import RateClass, RoutePolicy, Table
from edge.transforms.compiled import RouteChanges
from edge.upstreams.policy import HttpPolicy
from shared.contracts.checking import read
from shared.contracts.method import Method

__all__ = ["BadRoutes", "NotRouted", "Route", "RouteTable", "compiled", "load", "with_health"]


@dataclass(frozen=True)
class Route:
    """One compiled route. ``method`` is the RPC it leads to, ``None`` for a hand-written target."""

    policy: RoutePolicy
    method: Method | None
    binding: Binding
    answer: Any
    mutating: bool
    segments: tuple[str, ...]
    by_address: Limit | None
    by_caller: Limit | None
    access: AccessList | None
    transforms: RouteChanges | None = None
    lacking: set[str] = field(default_factory=set, compare=False)
    """Headers that an answer could not fill, so that this is logged once."""

    @property
    def upload_limit(self) -> int | None:
        """The most bytes of a body that is passed on unread; ``None`` where bodies are read here."""
        http, changes = self.policy.http, self.transforms
        if http is None or (changes is not None and changes.request_json is not None):
            return None
        return http.body_limit if self.mutating else 0

    @property
    def http_policies(self) -> dict[str, HttpPolicy]:
        """Of every HTTP service that this route leads to, by itself or in a part, by the name of the way there."""
        name, parts = self.policy.name, self.policy.aggregate.parts if self.policy.aggregate else []
        ways = {name: self.policy.http} | {f"{name}.{part.name}": part.http for part in parts}
        return {way: policy for way, policy in ways.items() if policy is not None}

    @property
    def target_name(self) -> str:
        """Where it leads, in one word: ``catalog.get_product``, ``http.reviews`` or ``local.ready``."""
        if self.policy.http is not None:
            return f"http.{self.policy.http.service}"
        if self.policy.aggregate is not None:
            return f"aggregate.{self.policy.name}"
        return self.policy.call or f"local.{self.policy.local}"


@dataclass(frozen=True)
class NotRouted:
    """Nothing answers: with ``allowed`` empty the path does not exist, else only these methods do."""

    allowed: tuple[str, ...]


@dataclass
class RouteTable:
    """All routes. A trailing slash is accepted on every path and changes nothing.

    ``unrouted`` limits what none of them takes.
    """

    routes: tuple[Route, ...]
    text: str = ""
    """What it was compiled from."""
    unrouted: Limit | None = None
    _places: Places[Route] = field(default_factory=Places)

    def __post_init__(self) -> None:
        for route in self.routes:
            self._places.add(route.segments, route.policy.method, route)

    def find(self, method: str, path: str) -> tuple[Route | NotRouted, dict[str, str]]:
        """The route with the path's variables, or why there is none. ``HEAD`` goes where ``GET`` does."""
        segments = _split(path)
        if segments is None:
            return NotRouted(()), {}
        found = self._places.find(segments, "GET" if method == "HEAD" else method)
        if found is None:
            return NotRouted(_allowed(self._places.methods(segments))), {}
        route, variables = found
        return route, {name: segments[at] for name, at in variables} if variables else {}


def load(path: Path) -> RouteTable:
    """Read and compile the table. Raises :class:`BadRoutes` naming every fault of every route."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise BadRoutes([Fault(f"{path}: {fault}")]) from None
    try:
        return compiled(text)
    except BadRoutes as bad:
        raise BadRoutes([replace(fault, file=str(path)) for fault in bad.faults]) from None


def compiled(text: str) -> RouteTable:
    """The table that this text (YAML or JSON) describes. Raises as :func:`load`."""
    document = read_document(text)
    routes = tuple(_compiled(checked) for checked in check_table(document))
    table = read(Table, document.data)
    return RouteTable(routes, text, _by_address(table.unrouted, table.rates) if table.unrouted else None)


def with_health(table: RouteTable) -> RouteTable:
    """The table, and those routes for health that it has not."""
    lacking = tuple(_compiled(one) for one in health_routes.lacking(route.policy for route in table.routes))
    return RouteTable(table.routes + lacking, table.text, table.unrouted) if lacking else table


def _by_address(rate: str, rates: Mapping[str, RateClass]) -> Limit:
    return Limit(f"{rate}-address", rates[rate])


def _compiled(checked: Checked) -> Route:
    policy, limits, rates = checked.policy, checked.policy.limits, checked.rates
    return Route(
        policy=policy,
        method=checked.method,
        binding=checked.binding,
        answer=checked.answer,
        mutating=checked.mutating,
        segments=tuple(policy.path.strip("/").split("/")),
        by_address=_by_address(limits.address, rates) if limits else None,
        by_caller=Limit(f"{limits.caller}-caller", rates[limits.caller]) if limits and limits.caller else None,
        access=AccessList.of(policy.access),
        transforms=RouteChanges.of(policy.transforms),
    )


def _split(path: str) -> tuple[str, ...] | None:
    """The path's segments, decoded one by one; ``None`` when no route could ever mean this."""
    trimmed = path[1:-1] if len(path) > 1 and path.endswith("/") else path[1:]
    if "%" not in trimmed:
        return tuple(trimmed.split("/")) if trimmed.isprintable() else None
    try:
        segments = tuple(unquote(segment, errors="strict") for segment in trimmed.split("/"))
    except UnicodeDecodeError:
        return None
    return segments if all(segment.isprintable() for segment in segments) else None


def _allowed(methods: set[str]) -> tuple[str, ...]:
    return tuple(sorted({*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"})) if methods else ()
