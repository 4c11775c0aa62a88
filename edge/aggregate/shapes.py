"""The types of an aggregate: what it takes, put together from its parts, and what it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from edge.callables import method_named
from edge.upstreams.faults import VARIABLE
from shared.contracts.method import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.aggregate.policy import AggregatePolicy, PartPolicy
    from edge.policies import RoutePolicy

UNAVAILABLE, REFUSED, SKIPPED = "unavailable", "refused", "skipped"
NAMED = (UNAVAILABLE, REFUSED, SKIPPED)
"""Members of the answer that name parts, by what became of them; who is in none of them has answered."""

ABOUT = (
    "A part that did not answer is null and named: in ``unavailable`` if it is down (then something may stand in for "
    "it), in ``refused`` if its service said no, in ``skipped`` if nobody is known to ask for."
)
Text = Annotated[str, Meta(min_length=1, max_length=200)]
"""What goes on to an HTTP service, which alone knows more of it."""


def sources_of(part: PartPolicy, policy: RoutePolicy) -> dict[str, str]:
    """Where this part's arguments come from, its path's variables among them."""
    if part.http is None:
        return dict(part.arguments)
    path = part.http.path or policy.path
    return {**dict.fromkeys(VARIABLE.findall(path), "path"), **part.arguments}


def with_arguments(policy: RoutePolicy) -> RoutePolicy:
    """The route with all its parts' arguments as its own, so that they are gathered, kept and described as any."""
    if policy.aggregate is None or policy.arguments:
        return policy
    merged = {name: source for part in policy.aggregate.parts for name, source in sources_of(part, policy).items()}
    return msgspec.structs.replace(policy, arguments=merged)


def request_of(policy: RoutePolicy, aggregate: AggregatePolicy) -> type[Request]:
    """All that its parts take from outside; required is what one of them must have of the path or the query."""
    fields: dict[str, tuple[str, Any] | tuple[str, Any, Any]] = {}
    for part in sorted(aggregate.parts, key=lambda part: part.http is not None):
        hints, required = fields_of(part)
        for name, source in sources_of(part, policy).items():
            if part.http is not None and name in fields:
                continue  # a contract knows better what may stand there
            kind = hints.get(name, Text)
            if source == "path" or (source == "query" and name in required):
                fields[name] = (name, kind)
            else:
                fields.setdefault(name, (name, Union[kind, None], None))  # noqa: UP007 - ``kind`` may be no class
    ordered = sorted(fields.values(), key=len)
    made = msgspec.defstruct(f"{camel(policy.name)}Request", ordered, bases=(Request,), frozen=True, kw_only=True)
    return cast("type[Request]", made)


def answer_of(policy: RoutePolicy, aggregate: AggregatePolicy) -> type[Answer]:
    """What clients see: a member per part, then the names of those that did not answer, by the reason."""
    members: list[tuple[str, Any]] = []
    for part in aggregate.parts:
        kind = shown(part, name=f"{camel(policy.name)}{camel(part.name)}")
        members.append((part.name, kind if part.required else Union[kind, None]))  # noqa: UP007 - as above
    members += [(kind, list[str]) for kind in NAMED]
    about = {"__doc__": ABOUT}
    name = f"{camel(policy.name)}Answer"
    made = msgspec.defstruct(name, members, bases=(Answer,), namespace=about, frozen=True, kw_only=True)
    return cast("type[Answer]", made)


def shown(part: PartPolicy, *, name: str) -> Any:
    """The type of a part as clients see it; ``name`` is for a type of its own."""
    if part.call is None:
        return Any
    kind = method_named(part.call).answer
    if part.page:
        kind = get_type_hints(kind, include_extras=True)["items"]
    return _without(kind, frozenset(part.hide), name)


def fields_of(part: PartPolicy) -> tuple[Mapping[str, Any], frozenset[str]]:
    """What the part's method takes, by name, and which of it must be given. Raises ``LookupError``."""
    if part.call is None:
        return {}, frozenset()
    request = method_named(part.call).request
    required = frozenset(field.name for field in msgspec.structs.fields(request) if field.required)
    return get_type_hints(request, include_extras=True), required


def members_of(kind: Any) -> frozenset[str]:
    """The names in an object, or in each object of a list."""
    if get_origin(kind) is list:
        return members_of(get_args(kind)[0])
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return frozenset(kind.__struct_fields__) if is_struct else frozenset()


def camel(name: str) -> str:
    """``HomePage`` for ``home_page``."""
    return "".join(word.capitalize() for word in name.split("_"))


def _without(kind: Any, hidden: frozenset[str], name: str) -> Any:
    if not hidden:
        return kind
    if get_origin(kind) is list:
        inner = _without(get_args(kind)[0], hidden, name)
        return list[inner]  # type: ignore[valid-type]  # made when the table is
    hints = get_type_hints(kind, include_extras=True)
    kept = [field for field in msgspec.structs.fields(kind) if field.name not in hidden]
    fields = [
        (field.name, hints[field.name]) if field.required else (field.name, hints[field.name], field.default)
        for field in kept
    ]
    about = {"__doc__": kind.__doc__}
    return msgspec.defstruct(name, fields, bases=(Answer,), namespace=about, frozen=True, kw_only=True)
