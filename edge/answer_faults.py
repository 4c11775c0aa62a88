"""What is wrong with the ``answer`` words of a route: a name that is not there must not disclose, nor fail a write."""

from __future__ import annotations

import re
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UnsetType

from edge.aggregate.shapes import members_of
from edge.cache.policy import directives
from edge.document import escaped
from edge.transforms.faults import ABOUT_THE_BODY, ACROSS_ORIGINS, OF_THE_ANSWER, UNTOUCHABLE
from edge.unheard import heard_of
from edge.upstreams.headers import may_pass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge.policies import RoutePolicy, Table

VARIABLE = re.compile(r"\{([a-z_]+)\}")
TOLD_BY_TARGETS = "x-cart-token"
"""A credential that the shop's own answers carry; transforms, which go for strangers' answers too, never write it."""

PROTECTED = UNTOUCHABLE | ABOUT_THE_BODY | OF_THE_ANSWER
PROTECTED |= {"location", "link", "x-cart-merged", "x-cart-left-out", "pragma"}
"""What other words write, or only the edge may."""

DIRECTIVES = frozenset(
    {
        "max-age", "s-maxage", "no-cache", "no-store", "no-transform", "must-revalidate", "proxy-revalidate",
        "must-understand", "private", "public", "immutable", "stale-while-revalidate", "stale-if-error",
    }
)  # fmt: skip
"""RFC 9111 §5.2.2, RFC 8246 and RFC 5861. Caches pass over what they do not know, so a slip would be kept."""

PAGE = frozenset({"items", "next_cursor"})
PLAIN = frozenset({str, int, float, bool, NoneType, UnsetType})


def answer_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Words that no answer could be told with, whatever the target."""
    del table
    for name in sorted(directives(policy.answer.cache_control) - DIRECTIVES):
        yield f"/answer/cache_control: there is no directive '{name}'"
    heard = heard_of(policy)
    if "headers" in heard:
        yield from _name_faults(policy.answer.headers)
    if "location" in heard and set(VARIABLE.sub("", policy.answer.location or "")) & set("{}"):
        yield "/answer/location: this is no template: names in braces, nothing else"


def member_faults(policy: RoutePolicy, kind: Any) -> Iterator[str]:
    """Names that an answer of the type ``kind`` has not. One of which no members are known has none."""
    answer, heard = policy.answer, heard_of(policy)
    if answer.page and "page" in heard:
        if not members_of(kind) >= PAGE:
            yield "/answer/page: this target gives no page"
            return
        kind = get_type_hints(kind, include_extras=True)["items"]
    if "hide" in heard:
        for position, name in enumerate(answer.hide):
            if name not in members_of(kind):
                yield f"/answer/hide/{position}: there is no '{name}' in the answer"
    yield from (fault for word, fault in _told_faults(policy, _members_of_one(kind)) if word in heard)


def _told_faults(policy: RoutePolicy, own: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is to be told of members in header fields, with the word that says so."""
    answer = policy.answer
    for header, name in answer.headers.items():
        if fault := _fault_of_member(own, name):
            yield "headers", f"/answer/headers/{escaped(header)}: {fault}"
    for name in VARIABLE.findall(answer.location or ""):
        if name not in VARIABLE.findall(policy.path) and (fault := _fault_of_member(own, name)):
            yield "location", f"/answer/location: {fault}"
    if answer.etag == "version" and own.get("version") is not int:
        yield "etag", "/answer/etag: the answer has no version of its own: say 'content'"


def _name_faults(headers: Mapping[str, str]) -> Iterator[str]:
    names = [name.lower() for name in headers]
    for name in headers:
        at = f"/answer/headers/{escaped(name)}"
        if not _is_free(name.lower()):
            yield f"{at}: '{name}' is not for a route to write"
        if names.count(name.lower()) > 1:
            yield f"{at}: '{name.lower()}' is written twice"


def _is_free(name: str) -> bool:
    if name in PROTECTED or name.startswith(ACROSS_ORIGINS):
        return name == TOLD_BY_TARGETS
    return may_pass(name)


def _members_of_one(kind: Any) -> Mapping[str, Any]:
    """The members, by name, of an answer that is one object. A header cannot tell those of a list's items."""
    is_one = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return get_type_hints(kind, include_extras=True) if is_one else {}


def _fault_of_member(own: Mapping[str, Any], name: str) -> str | None:
    if name not in own:
        return f"there is no '{name}' in the answer"
    return None if _is_plain(own[name]) else f"'{name}' is more than a header can tell: text or a number is needed"


def _is_plain(kind: Any) -> bool:
    origin = get_origin(kind)
    if origin is Annotated:
        return _is_plain(get_args(kind)[0])
    if origin in {Union, UnionType}:
        return all(_is_plain(part) for part in get_args(kind))
    return origin is Literal or kind in PLAIN
