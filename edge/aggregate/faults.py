"""What is wrong with the ``aggregate`` words of a route."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import msgspec

from edge.aggregate.shapes import NAMED, fields_of, members_of, shown, sources_of, with_arguments
from edge.callables import method_named
from edge.document import escaped
from edge.upstreams.faults import VARIABLE, http_faults
from shared.contracts.checking import fits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge.aggregate.policy import AggregatePolicy, PartPolicy
    from edge.policies import RoutePolicy, Table

ADDRESS = "caller.address"
OF_CALLER = "caller."


def aggregate_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Words of the parts that contradict the contracts, each other, or the rest of the route."""
    if policy.aggregate is None:
        return
    yield from _route_faults(policy, policy.aggregate)
    for position, part in enumerate(policy.aggregate.parts):
        at = f"/aggregate/parts/{position}"
        try:
            faults = [*_part_faults(policy, part), *_call_faults(part), *_answer_faults(part)]
        except LookupError as unknown:
            faults = [str(unknown.args[0])]
        yield from (f"{at}{fault}" for fault in [*faults, *_http_faults(policy, part, table)])


def _route_faults(policy: RoutePolicy, aggregate: AggregatePolicy) -> Iterator[str]:
    answer, names = policy.answer, [part.name for part in aggregate.parts]
    if policy.method != "GET":
        yield "/method: an aggregate only reads"
    if policy.arguments != with_arguments(msgspec.structs.replace(policy, arguments={})).arguments:
        yield "/arguments: the parts have the arguments"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"/aggregate/parts: two of them are called '{name}'"
    if answer.page or answer.location or answer.hide or answer.headers or answer.etag == "version":
        yield "/answer: an aggregate has no page, location, version, hidden members or headers of its own"
    if answer.status != 200:  # noqa: PLR2004  # the number is the status's name
        yield "/answer/status: an aggregate answers with 200"
    yield from _meeting_faults(policy, aggregate)


def _meeting_faults(policy: RoutePolicy, aggregate: AggregatePolicy) -> Iterator[str]:
    """A client's word has one meaning, whichever parts hear it; a service that speaks HTTP takes any."""
    seen: dict[str, tuple[str, Any]] = {}
    for position, part in enumerate(aggregate.parts):
        kinds = _known_fields(part)
        for name, source in sources_of(part, policy).items():
            kind = _plain(kinds[name]) if name in kinds and not source.startswith(OF_CALLER) else None
            known_source, known_kind = seen.get(name, (source, kind))
            seen[name] = (known_source, known_kind or kind)
            if known_source != source or (known_kind and kind and known_kind != kind):
                at = f"/aggregate/parts/{position}/arguments/{escaped(name)}"
                yield f"{at}: another part means something else by '{name}'"


def _known_fields(part: PartPolicy) -> Mapping[str, Any]:
    try:
        return fields_of(part)[0]
    except LookupError:
        return {}


def _part_faults(policy: RoutePolicy, part: PartPolicy) -> Iterator[str]:
    if (part.call is None) == (part.http is None):
        yield ": exactly one of 'call' and 'http' is needed"
    if part.name in NAMED:
        yield f"/name: '{part.name}' is a member that names parts: those that are down, said no, or were not asked"
    if part.deadline is not None and part.deadline > policy.deadline:
        yield "/deadline: a part has no more time than the route"
    sources = {source for source in part.arguments.values() if source.startswith(OF_CALLER)} - {ADDRESS}
    if part.required and sources and policy.auth != "required":
        yield "/required: a part that needs a caller can be required only where auth is 'required'"
    if sources & {"caller.user_id", "caller.session_id"} and policy.auth == "none":
        yield "/arguments: nobody is known where auth is 'none'"
    if part.required and part.fallback is not None:
        yield "/fallback: nothing stands in for a required part"
    for name in sorted(part.arguments.keys() & part.fixed.keys()):
        yield f"/fixed/{escaped(name)}: '{name}' comes from the request"


def _call_faults(part: PartPolicy) -> Iterator[str]:
    if part.call is None:
        return
    method = method_named(part.call)
    if method.mutating:
        yield f"/call: {part.call} changes something"
    if "cursor" in part.arguments:
        yield "/arguments/cursor: a part is a first page"
    kinds, required = fields_of(part)
    for name in sorted(required - part.arguments.keys() - part.fixed.keys()):
        yield f"/arguments: required field '{name}' of {method.request.__name__} is not supplied"
    for at, name in _named(part):
        if name not in kinds:
            yield f"{at}: argument '{name}' is not a field of {method.request.__name__}"
        elif name in part.fixed and not fits(part.fixed[name], kinds[name]):
            yield f"{at}: {method.request.__name__} takes no such '{name}'"


def _named(part: PartPolicy) -> Iterator[tuple[str, str]]:
    """Every argument with its place."""
    for place, names in (("arguments", part.arguments), ("fixed", part.fixed)):
        yield from ((f"/{place}/{escaped(name)}", name) for name in names)


def _answer_faults(part: PartPolicy) -> Iterator[str]:
    if part.call is None:
        if part.page or part.hide:
            yield "/http: 'page' and 'hide' are for what a contract describes"
        return
    kind = method_named(part.call).answer
    if part.page and "items" not in members_of(kind):
        yield f"/page: {part.call} gives no page"
        return
    known = members_of(shown(msgspec.structs.replace(part, hide=[]), name=""))
    for position, name in enumerate(part.hide):
        if name not in known:
            yield f"/hide/{position}: there is no '{name}' in the answer"
    if part.fallback is not None and not fits(part.fallback, shown(part, name="Fallback")):
        yield f"/fallback: this is no answer of {part.call} as clients know it"


def _http_faults(policy: RoutePolicy, part: PartPolicy, table: Table) -> Iterator[str]:
    """As for a route of its own, with the variables that this part makes use of."""
    if part.http is None:
        return
    used = VARIABLE.findall(part.http.path or policy.path)
    known = [f"{{{name}}}" for name in used if name in VARIABLE.findall(policy.path)]
    own = {"http": part.http, "path": "/".join(["", *known]), "arguments": {}}
    if part.http.path is None:
        own["http"] = msgspec.structs.replace(part.http, path=policy.path)
    yield from http_faults(msgspec.structs.replace(policy, **own), table)
    if part.http.websocket:
        yield "/http/websocket: a part is one answer"
    for name in sorted(part.arguments.keys() & set(used)):
        yield f"/arguments/{escaped(name)}: '{name}' is in the path already"


def _plain(kind: Any) -> frozenset[Any]:
    """What may stand there, whether or not it may be left out."""
    is_union = get_origin(kind) in {Union, UnionType}
    return frozenset(get_args(kind) if is_union else (kind,)) - {NoneType}
