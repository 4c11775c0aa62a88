"""Checks a route table against the contracts and names all that is wrong with it, so that a bad one never starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from edge.arguments import Binding, bind
from edge.policies import RateClass, RoutePolicy, Table
from edge.targets.declared import DECLARED
from shared.contracts import cart, catalog, identity, notification, order
from shared.contracts.checking import read
from shared.contracts.identity import ADMIN_SCOPES
from shared.contracts.method import Method, Request
from shared.contracts.refusals import InvalidRequest

SERVICES = {part.METHODS.service: part.METHODS for part in (identity, catalog, cart, order, notification)}
_VARIABLE = re.compile(r"\{([a-z_]+)\}")


class BadRoutes(SystemExit):
    """The edge cannot start with this table. Exits with status 78 (``EX_CONFIG``) after naming every fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(78)
        self.faults = faults

    def __str__(self) -> str:
        """One line per fault, for the terminal."""
        return "The route table is not usable:\n" + "\n".join(f"  - {fault}" for fault in self.faults)


@dataclass(frozen=True)
class Checked:
    """A route that agrees with the contracts."""

    policy: RoutePolicy
    method: Method | None
    binding: Binding
    answer: Any
    mutating: bool
    rates: dict[str, RateClass]


@dataclass(frozen=True)
class _Goal:
    """What a route leads to, RPC or hand-written."""

    request: type[Request]
    answer: Any
    mutating: bool
    method: Method | None = None


def check_table(path: Path) -> list[Checked]:
    """Read the file. Raises :class:`BadRoutes` with all faults of all routes."""
    table = _read_file(path)
    faults: list[str] = []
    checked: list[Checked] = []
    for position, raw in enumerate(table.routes, start=1):
        name = raw.get("name") or f"route {position}"
        try:
            policy = read(RoutePolicy, raw)
        except InvalidRequest as invalid:
            faults += [f"{name}: {error['pointer']}: {error['detail']}" for error in invalid.details["errors"]]
            continue
        reasons, goal = _faults(policy, table)
        faults += [f"{name}: {reason}" for reason in reasons]
        if goal is not None and not reasons:
            binding = bind(goal.request, policy.arguments, name=policy.name)
            checked.append(Checked(policy, goal.method, binding, goal.answer, goal.mutating, table.rates))
    faults += _repeated([one.policy for one in checked])
    if faults:
        raise BadRoutes(faults)
    return checked


def _read_file(path: Path) -> Table:
    try:
        return read(Table, yaml.safe_load(path.read_text(encoding="utf-8")))
    except InvalidRequest as invalid:
        raise BadRoutes([f"{error['pointer']}: {error['detail']}" for error in invalid.details["errors"]]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise BadRoutes([f"{path}: {fault}"]) from None


def _faults(policy: RoutePolicy, table: Table) -> tuple[list[str], _Goal | None]:
    try:
        goal = _goal(policy)
    except LookupError as unknown:
        return [str(unknown.args[0]), *_policy_faults(policy, table)], None
    return [
        *_argument_faults(policy, goal),
        *_path_faults(policy),
        *_method_faults(policy, goal),
        *_policy_faults(policy, table),
    ], goal


def _goal(policy: RoutePolicy) -> _Goal:
    """Raises ``LookupError`` with the sentence that says what is wrong."""
    if (policy.call is None) == (policy.local is None):
        raise LookupError("exactly one of 'call' and 'local' is needed")
    if policy.local is not None:
        declared = DECLARED[policy.local]
        return _Goal(declared.request, declared.answer, declared.mutating)
    service, _, name = str(policy.call).partition(".")
    if service not in SERVICES:
        raise LookupError(f"there is no service '{service}'")
    if name not in SERVICES[service]:
        raise LookupError(f"{service} has no method '{name}'")
    method = SERVICES[service][name]
    if method.operator_only:
        raise LookupError(f"{policy.call} is for operators only")
    return _Goal(method.request, method.answer, method.mutating, method)


def _argument_faults(policy: RoutePolicy, goal: _Goal) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(goal.request)}
    for name, source in policy.arguments.items():
        if name not in fields:
            yield f"argument '{name}' is not a field of {goal.request.__name__}"
        elif _may_be_absent(policy, source) and fields[name].required:
            yield f"argument '{name}' needs a caller, but auth is '{policy.auth}'"
    for name, field in fields.items():
        if field.required and name not in policy.arguments:
            yield f"required field '{name}' of {goal.request.__name__} is not supplied"


def _path_faults(policy: RoutePolicy) -> Iterator[str]:
    variables = _VARIABLE.findall(policy.path)
    for variable in variables:
        if policy.arguments.get(variable) != "path":
            yield f"path variable '{variable}' leads nowhere"
    for name, source in policy.arguments.items():
        if source == "path" and name not in variables:
            yield f"argument '{name}' is not in the path"


def _may_be_absent(policy: RoutePolicy, source: str) -> bool:
    return source in {"caller.user_id", "caller.session_id"} and policy.auth != "required"


def _method_faults(policy: RoutePolicy, goal: _Goal) -> Iterator[str]:
    if goal.mutating and policy.method == "GET":
        yield "GET must not lead to a method that changes something"
    if goal.mutating == (policy.idempotency == "none"):
        yield "idempotency must be 'accepted' or 'required' exactly when the target changes something"
    if policy.method == "GET" and "body" in policy.arguments.values():
        yield "GET takes no body"
    if policy.answer.page != ("cursor" in policy.arguments):
        yield "a page needs the argument 'cursor', and only a page"


def _policy_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    for scope in policy.scopes:
        if scope not in ADMIN_SCOPES:
            yield f"there is no scope '{scope}'"
    if policy.scopes and policy.auth != "required":
        yield "scopes need auth 'required'"
    for rate in (policy.limits.address, policy.limits.caller) if policy.limits else ():
        if rate is not None and rate not in table.rates:
            yield f"there is no rate class '{rate}'"
    if policy.limits and policy.limits.caller and policy.auth == "none":
        yield "a limit by caller needs auth"


def _repeated(policies: list[RoutePolicy]) -> Iterator[str]:
    names: set[str] = set()
    places: set[tuple[str, str]] = set()
    for policy in policies:
        place = (policy.method, _VARIABLE.sub("{}", policy.path.rstrip("/")))
        if policy.name in names:
            yield f"{policy.name}: the name stands twice"
        if place in places:
            yield f"{policy.name}: another route has {policy.method} {policy.path}"
        names.add(policy.name)
        places.add(place)
