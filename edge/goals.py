"""What a route leads to, and whether the route's words fit that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edge.aggregate.faults import aggregate_faults
from edge.aggregate.shapes import answer_of, request_of
from edge.answer_faults import member_faults
from edge.callables import method_named
from edge.document import escaped
from edge.policies import RoutePolicy, Table
from edge.targets.declared import DECLARED, NoArguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.aggregate.policy import AggregatePolicy
    from shared.contracts.method import Method, Request

EDGE_KNOWS = {"client_address": "caller.address", "expected_version": "if-match"}
"""Fields that a contract does not insist on, as some call without a gateway: throttling by address, and If-Match."""

VARIABLE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True)
class Goal:
    """RPC, hand-written, or whatever else answers: what it takes and gives."""

    request: type[Request]
    answer: Any
    mutating: bool
    method: Method | None = None


def goal_of(policy: RoutePolicy) -> Goal:
    """Raises ``LookupError`` with the sentence that says what is wrong."""
    if sum(target is not None for target in (policy.call, policy.local, policy.http, policy.aggregate)) != 1:
        raise LookupError("exactly one of 'call', 'local', 'http' and 'aggregate' is needed")
    if policy.aggregate is not None:
        return _aggregate_goal(policy, policy.aggregate)
    if policy.http is not None:
        return Goal(NoArguments, None, mutating=policy.method != "GET")
    if policy.local is not None:
        declared = DECLARED[policy.local]
        return Goal(declared.request, declared.answer, declared.mutating)
    method = method_named(str(policy.call))
    return Goal(method.request, method.answer, method.mutating, method)


def goal_faults(policy: RoutePolicy, goal: Goal | None) -> Iterator[str]:
    """Words that contradict the target or, where nobody knows which it is (``None``), each other."""
    if policy.http is not None:
        return  # it has the request itself
    if goal is not None and policy.aggregate is None:
        yield from _argument_faults(policy, goal)
        yield from member_faults(policy, goal.answer)
    yield from _path_faults(policy)
    if goal is not None:
        yield from _effect_faults(policy, goal)
    if policy.method == "GET" and "body" in policy.arguments.values():
        yield "/arguments: GET takes no body"
    if policy.answer.page != ("cursor" in policy.arguments):
        yield "/answer/page: a page needs the argument 'cursor', and only a page"


def _aggregate_goal(policy: RoutePolicy, aggregate: AggregatePolicy) -> Goal:
    """Parts that contradict the contracts have no types; what is wrong with them, their own faults say."""
    if any(aggregate_faults(policy, Table(rates={}, routes=[]))):
        return Goal(NoArguments, None, mutating=False)
    return Goal(request_of(policy, aggregate), answer_of(policy, aggregate), mutating=False)


def _argument_faults(policy: RoutePolicy, goal: Goal) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(goal.request)}
    for name, source in policy.arguments.items():
        at = f"/arguments/{escaped(name)}"
        if name not in fields:
            yield f"{at}: argument '{name}' is not a field of {goal.request.__name__}"
        elif _may_be_absent(policy, source) and fields[name].required:
            yield f"{at}: argument '{name}' needs a caller, but auth is '{policy.auth}'"
    for name, field in fields.items():
        if name in policy.arguments:
            continue
        if field.required:
            yield f"/arguments: required field '{name}' of {goal.request.__name__} is not supplied"
        elif name in EDGE_KNOWS:
            yield f"/arguments: the target guards nothing without '{name}': say '{name}: {EDGE_KNOWS[name]}'"


def _path_faults(policy: RoutePolicy) -> Iterator[str]:
    variables = VARIABLE.findall(policy.path)
    for variable in variables:
        if policy.arguments.get(variable) != "path":
            yield f"/path: path variable '{variable}' leads nowhere"
    for name, source in policy.arguments.items():
        if source == "path" and name not in variables:
            yield f"/arguments/{escaped(name)}: argument '{name}' is not in the path"


def _may_be_absent(policy: RoutePolicy, source: str) -> bool:
    return source in {"caller.user_id", "caller.session_id"} and policy.auth != "required"


def _effect_faults(policy: RoutePolicy, goal: Goal) -> Iterator[str]:
    if goal.mutating and policy.method == "GET":
        yield "/method: GET must not lead to a method that changes something"
    if goal.mutating == (policy.idempotency == "none"):
        yield "/idempotency: idempotency must be 'accepted' or 'required' exactly when the target changes something"
