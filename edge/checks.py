"""Checks a route table against the contracts and names all that is wrong with it, so that a bad one never starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from edge.access import access_faults
from edge.admission.priorities import priority_faults
from edge.aggregate.faults import aggregate_faults
from edge.aggregate.shapes import with_arguments
from edge.answer_faults import answer_faults
from edge.arguments import Binding, bind
from edge.cache.policy import cache_faults
from edge.document import Document
from edge.faults import BadRoutes, Fault
from edge.goals import Goal, goal_faults, goal_of
from edge.mending import Mended, mended
from edge.plugins.installed import plugins_faults
from edge.policies import RateClass, RoutePolicy, Table
from edge.targets.declared import DECLARED
from edge.transforms.faults import transforms_faults
from edge.unheard import unheard_faults
from edge.upstreams.faults import http_faults
from shared.contracts.checking import read
from shared.contracts.identity import ADMIN_SCOPES
from shared.contracts.method import Method
from shared.contracts.refusals import InvalidRequest

MOST_FAULTS = 500
_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_NO_ROUTE: dict[str, object] = {}
_POINTED = re.compile(r"(/[^\s:]+): (.+)", re.DOTALL)

Part = Callable[[RoutePolicy, Table], Iterator[str]]


def limits_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Rate classes that stand in the table, and a caller where callers are counted."""
    for key, rate in (("address", policy.limits.address), ("caller", policy.limits.caller)) if policy.limits else ():
        if rate is not None and rate not in table.rates:
            yield f"/limits/{key}: there is no rate class '{rate}'"
    if policy.limits and policy.limits.caller and policy.auth == "none":
        yield "/limits/caller: a limit by caller needs auth"


def scopes_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Scopes that somebody can have, and a caller to have them."""
    del table
    for position, scope in enumerate(policy.scopes):
        if scope not in ADMIN_SCOPES:
            yield f"/scopes/{position}: there is no scope '{scope}'"
    if policy.scopes and policy.auth != "required":
        yield "/scopes: scopes need auth 'required'"


def body_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """What the target reads, and nothing else."""
    del table
    taken = DECLARED[policy.local].body if policy.local is not None else "json"
    if policy.body != taken:
        yield f"/body: this target takes '{taken}'"


def path_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Each segment is a variable, named once, or plain text: anything else would not match what it says."""
    del table
    segments = policy.path.strip("/").split("/")
    for segment in segments:
        is_plain = bool(segment) and not set(segment) & set("{}") and segment not in {".", ".."}
        if not (is_plain or _VARIABLE.fullmatch(segment) or segments == [""]):
            yield f"/path: '{segment}' is no segment: text without braces, or one variable in braces"
        elif not is_plain and segments.count(segment) > 1:
            yield f"/path: '{segment}' stands twice"


PARTS: tuple[Part, ...] = (
    path_faults,
    body_faults,
    access_faults,
    priority_faults,
    limits_faults,
    scopes_faults,
    cache_faults,
    http_faults,
    aggregate_faults,
    answer_faults,
    transforms_faults,
    plugins_faults,
)
"""Each part of the vocabulary checks its own words. A fault that begins with a JSON pointer into the route
(``/cache/ttl: must not be longer than a day``) is shown at that line, any other at the route's first."""


@dataclass(frozen=True)
class Checked:
    """A route that agrees with the contracts."""

    policy: RoutePolicy
    method: Method | None
    binding: Binding
    answer: Any
    mutating: bool
    rates: Mapping[str, RateClass]


class _Seen(NamedTuple):
    """A route at its place in the file, as far as it can be read."""

    pointer: str
    policy: RoutePolicy
    unread: frozenset[str] = frozenset()


def check_table(document: Document) -> list[Checked]:
    """Check the whole. Raises :class:`BadRoutes` with all faults of all routes, in the order of their lines."""
    faults = list(document.faults)
    table = _outer(document, faults)
    faults += _unrouted_faults(document, table)
    checked: list[Checked] = []
    seen: list[_Seen] = []
    for pointer, raw in ((f"/routes/{position}", raw) for position, raw in enumerate(table.routes)):
        if raw is _NO_ROUTE:
            continue
        try:
            policy = with_arguments(read(RoutePolicy, raw))
        except InvalidRequest as invalid:
            readings = mended(raw, [one["pointer"] for one in _errors(invalid)]) if len(faults) < MOST_FAULTS else None
            faults += _located(document, pointer, raw, _unread_faults(invalid, readings, raw, table))
            seen += [_Seen(pointer, readings.policies[0], readings.unread)] if readings else []
            continue
        seen.append(_Seen(pointer, policy))
        reasons, goal = _faults(policy, raw, table)
        faults += _located(document, pointer, raw, reasons)
        if goal is not None and not reasons:
            binding = bind(goal.request, policy.arguments, name=policy.name)
            checked.append(Checked(policy, goal.method, binding, goal.answer, goal.mutating, table.rates))
    faults += _repeated(document, seen)
    if faults:
        raise BadRoutes(sorted(faults, key=lambda fault: fault.line or 0)[:MOST_FAULTS])
    return checked


class _AnyName(dict[str, RateClass]):
    """Where no rate class can be read, every route that names one would be a fault that says nothing."""

    def __contains__(self, name: object) -> bool:
        return True


def _outer(document: Document, faults: list[Fault]) -> Table:
    """The table's own shape. What of it is sound is looked at further, so that one fault does not hide the others."""
    data = document.data
    try:
        return read(Table, data)
    except InvalidRequest as invalid:
        faults += [
            Fault(f"{one['pointer']}: {one['detail']}", document.line_of(one["pointer"]), one["pointer"])
            for one in _errors(invalid)
        ]
    named = data.get("rates") if isinstance(data, dict) else None
    routes = data.get("routes") if isinstance(data, dict) else None
    unrouted = data.get("unrouted") if isinstance(data, dict) else None
    is_told = any(fault.pointer == "/unrouted" for fault in faults)
    return Table(
        rates=dict.fromkeys(named, RateClass(quota=1, window=1)) if isinstance(named, dict) else _AnyName(),
        unrouted=None if is_told else unrouted,
        routes=[one if isinstance(one, dict) else _NO_ROUTE for one in routes] if isinstance(routes, list) else [],
    )


def _unrouted_faults(document: Document, table: Table) -> list[Fault]:
    if table.unrouted is None or table.unrouted in table.rates:
        return []
    return [Fault(f"/unrouted: no rate class '{table.unrouted}'", document.line_of("/unrouted"), "/unrouted")]


def _errors(invalid: InvalidRequest) -> list[dict[str, str]]:
    errors: list[dict[str, str]] = invalid.details["errors"]
    return errors


def _located(document: Document, pointer: str, raw: Mapping[str, Any], reasons: list[str]) -> list[Fault]:
    """The reasons as faults of the route at ``pointer``, each with its line."""
    name = str(raw.get("name") or pointer.removeprefix("/").replace("/", " "))[:80]
    faults = []
    for reason in reasons:
        pointed = _POINTED.fullmatch(reason)
        place = pointer + pointed[1] if pointed else pointer
        faults.append(Fault(reason, document.line_of(place), place, name))
    return faults


def _faults(policy: RoutePolicy, raw: Mapping[str, Any], table: Table) -> tuple[list[str], Goal | None]:
    parts = [reason for faults in PARTS for reason in faults(policy, table)]
    parts += unheard_faults(policy, raw)
    try:
        goal = goal_of(policy)
    except LookupError as unknown:
        return [str(unknown.args[0]), *goal_faults(policy, None), *parts], None
    return [*goal_faults(policy, goal), *parts], goal


def _unread_faults(invalid: InvalidRequest, readings: Mended | None, raw: Mapping[str, Any], table: Table) -> list[str]:
    """The words of a route that cannot be read, and what is wrong with the rest of it."""
    told = [f"{one['pointer']}: {one['detail']}" for one in _errors(invalid)]
    if readings is None:
        return told
    return told + readings.common([_faults(with_arguments(policy), raw, table)[0] for policy in readings.policies])


def _repeated(document: Document, seen: list[_Seen]) -> Iterator[Fault]:
    names: set[str] = set()
    places: set[tuple[str, str]] = set()
    for pointer, policy, unread in seen:
        place = (policy.method, _VARIABLE.sub("{}", policy.path.rstrip("/")))
        if "/name" not in unread:
            if policy.name in names:
                yield from _located(document, pointer, {"name": policy.name}, ["/name: the name stands twice"])
            names.add(policy.name)
        if "/method" not in unread and "/path" not in unread:
            if place in places:
                reason = f"/path: another route has {policy.method} {policy.path}"
                yield from _located(document, pointer, {"name": policy.name}, [reason])
            places.add(place)
