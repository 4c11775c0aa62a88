"""Checks a route table against the contracts and names all that is wrong with it, so that a bad one never starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.access import access_faults
from edge.admission.priorities import priority_faults
from edge.aggregate.faults import aggregate_faults
from edge.aggregate.policy import AggregatePolicy
from edge.aggregate.shapes import answer_of, request_of, with_arguments
from edge.arguments import Binding, bind
from edge.cache.policy import cache_faults
from edge.callables import method_named
from edge.document import Document, escaped
from edge.faults import BadRoutes, Fault
from edge.plugins.installed import plugins_faults
from edge.policies import RateClass, RoutePolicy, Table
from edge.targets.declared import DECLARED, NoArguments
from edge.transforms.faults import transforms_faults
from edge.upstreams.faults import http_faults
from shared.contracts.checking import read
from shared.contracts.identity import ADMIN_SCOPES
from shared.contracts.method import Method, Request
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


@dataclass(frozen=True)
class _Goal:
    """What a route leads to, RPC or hand-written."""

    request: type[Request]
    answer: Any
    mutating: bool
    method: Method | None = None


def check_table(document: Document) -> list[Checked]:
    """Check the whole. Raises :class:`BadRoutes` with all faults of all routes, in the order of their lines."""
    faults = list(document.faults)
    table = _outer(document, faults)
    faults += _unrouted_faults(document, table)
    checked: list[Checked] = []
    seen: list[tuple[str, RoutePolicy]] = []
    for pointer, raw in ((f"/routes/{position}", raw) for position, raw in enumerate(table.routes)):
        if raw is _NO_ROUTE:
            continue
        try:
            policy = with_arguments(read(RoutePolicy, raw))
        except InvalidRequest as invalid:
            reasons = [f"{one['pointer']}: {one['detail']}" for one in _errors(invalid)]
            faults += _located(document, pointer, raw, reasons)
            continue
        seen.append((pointer, policy))
        reasons, goal = _faults(policy, table)
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
    return Table(
        rates=dict.fromkeys(named, RateClass(quota=1, window=1)) if isinstance(named, dict) else _AnyName(),
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


def _faults(policy: RoutePolicy, table: Table) -> tuple[list[str], _Goal | None]:
    parts = [reason for faults in PARTS for reason in faults(policy, table)]
    try:
        goal = _goal(policy)
    except LookupError as unknown:
        return [str(unknown.args[0]), *parts], None
    if policy.http is not None:
        return parts, goal
    if policy.aggregate is not None:
        return [*_path_faults(policy), *_method_faults(policy, goal), *parts], goal
    return [*_argument_faults(policy, goal), *_path_faults(policy), *_method_faults(policy, goal), *parts], goal


def _goal(policy: RoutePolicy) -> _Goal:
    """Raises ``LookupError`` with the sentence that says what is wrong."""
    if sum(target is not None for target in (policy.call, policy.local, policy.http, policy.aggregate)) != 1:
        raise LookupError("exactly one of 'call', 'local', 'http' and 'aggregate' is needed")
    if policy.aggregate is not None:
        return _aggregate_goal(policy, policy.aggregate)
    if policy.http is not None:
        return _Goal(NoArguments, None, mutating=policy.method != "GET")
    if policy.local is not None:
        declared = DECLARED[policy.local]
        return _Goal(declared.request, declared.answer, declared.mutating)
    method = method_named(str(policy.call))
    return _Goal(method.request, method.answer, method.mutating, method)


def _aggregate_goal(policy: RoutePolicy, aggregate: AggregatePolicy) -> _Goal:
    """Parts that contradict the contracts have no types; what is wrong with them, their own faults say."""
    if any(aggregate_faults(policy, Table(rates={}, routes=[]))):
        return _Goal(NoArguments, None, mutating=False)
    return _Goal(request_of(policy, aggregate), answer_of(policy, aggregate), mutating=False)


def _argument_faults(policy: RoutePolicy, goal: _Goal) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(goal.request)}
    for name, source in policy.arguments.items():
        at = f"/arguments/{escaped(name)}"
        if name not in fields:
            yield f"{at}: argument '{name}' is not a field of {goal.request.__name__}"
        elif _may_be_absent(policy, source) and fields[name].required:
            yield f"{at}: argument '{name}' needs a caller, but auth is '{policy.auth}'"
    for name, field in fields.items():
        if field.required and name not in policy.arguments:
            yield f"/arguments: required field '{name}' of {goal.request.__name__} is not supplied"


def _path_faults(policy: RoutePolicy) -> Iterator[str]:
    variables = _VARIABLE.findall(policy.path)
    for variable in variables:
        if policy.arguments.get(variable) != "path":
            yield f"/path: path variable '{variable}' leads nowhere"
    for name, source in policy.arguments.items():
        if source == "path" and name not in variables:
            yield f"/arguments/{escaped(name)}: argument '{name}' is not in the path"


def _may_be_absent(policy: RoutePolicy, source: str) -> bool:
    return source in {"caller.user_id", "caller.session_id"} and policy.auth != "required"


def _method_faults(policy: RoutePolicy, goal: _Goal) -> Iterator[str]:
    if goal.mutating and policy.method == "GET":
        yield "/method: GET must not lead to a method that changes something"
    if goal.mutating == (policy.idempotency == "none"):
        yield "/idempotency: idempotency must be 'accepted' or 'required' exactly when the target changes something"
    if policy.method == "GET" and "body" in policy.arguments.values():
        yield "/arguments: GET takes no body"
    if policy.answer.page != ("cursor" in policy.arguments):
        yield "/answer/page: a page needs the argument 'cursor', and only a page"


def _repeated(document: Document, seen: list[tuple[str, RoutePolicy]]) -> Iterator[Fault]:
    names: set[str] = set()
    places: set[tuple[str, str]] = set()
    for pointer, policy in seen:
        place = (policy.method, _VARIABLE.sub("{}", policy.path.rstrip("/")))
        if policy.name in names:
            yield from _located(document, pointer, {"name": policy.name}, ["/name: the name stands twice"])
        if place in places:
            reason = f"/path: another route has {policy.method} {policy.path}"
            yield from _located(document, pointer, {"name": policy.name}, [reason])
        names.add(policy.name)
        places.add(place)
