"""The words under which a route's answers may be kept, and what makes such a policy unsafe or senseless."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, field

from edge.vocabulary import Word

if TYPE_CHECKING:
    from edge.policies import RoutePolicy, Table

Span = Annotated[float, Meta(ge=0, le=86_400)]
Tag = Annotated[str, Meta(max_length=80, pattern=r"^[a-z]+(:([a-z0-9_-]+|\{[a-z_]+\}))?(?!\n)$")]

OF_CALLER = "caller."
KEYED_BY_USER = "caller.user_id"
OWN_TAGS = {"all", "path"}
"""Every entry has these anyway: for an administrator who purges everything, or one path."""

_VARIABLE = re.compile(r"\{([a-z_]+)\}")


class CachePolicy(Word, frozen=True, kw_only=True):
    """For how long answers of a route are kept and given; spans are in seconds.

    For ``ttl`` an answer is fresh. For ``stale_while_revalidate`` after that it is still given while a new one is
    fetched, for ``stale_if_error`` after ``ttl`` it is given where none can be had. ``tags`` name what it tells of, as
    templates over the request's path and query (one whose argument is absent is left out); events purge by tag.
    ``private`` answers are kept per user. ``vary: caller-class`` keeps guests, customers and staff apart.
    """

    ttl: Annotated[float, Meta(gt=0, le=86_400)]
    stale_while_revalidate: Span = 0.0
    stale_if_error: Span = 0.0
    vary: Literal["none", "caller-class"] = "none"
    tags: Annotated[list[Tag], Meta(max_length=8)] = field(default_factory=list)
    private: bool = False


def cache_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """What is wrong with the cache words of this route."""
    del table
    if policy.cache is None:
        return
    if policy.method != "GET":
        yield "/cache: only the answers of GET can be kept"
    if policy.local is not None:
        yield "/cache: what the edge makes by itself needs no cache"
    yield from _privacy_faults(policy, policy.cache)
    yield from _header_faults(policy, policy.cache)
    yield from _tag_faults(policy, policy.cache)


def _privacy_faults(policy: RoutePolicy, cache: CachePolicy) -> Iterator[str]:
    of_caller = {source for source in policy.arguments.values() if source.startswith(OF_CALLER)}
    if cache.private:
        if policy.auth != "required":
            yield "/cache/private: a private answer needs auth 'required'"
        if strange := sorted(of_caller - {KEYED_BY_USER}):
            yield f"/cache/private: answers are kept per user, which '{strange[0]}' does not name"
    elif policy.auth == "required" or of_caller:
        yield "/cache: this answer may carry a caller's data: say 'private: true', or keep it not at all"
    elif policy.auth == "optional" and cache.vary == "none":
        yield "/cache/vary: where a caller may be known, say 'caller-class' or 'private: true'"
    if "if-match" in policy.arguments.values():
        yield "/cache: an answer to a precondition cannot be kept"


def _header_faults(policy: RoutePolicy, cache: CachePolicy) -> Iterator[str]:
    """What clients are told must not contradict what is done here. A service that speaks HTTP tells them itself."""
    if policy.http is not None:
        return
    told = directives(policy.answer.cache_control)
    if "no-store" in told:
        yield "/cache: the answer says 'no-store' to clients: give it a cache_control of its own"
    elif cache.private != ("private" in told):
        yield f"/cache/private: the answer's cache_control must {'' if cache.private else 'not '}say 'private'"


def _tag_faults(policy: RoutePolicy, cache: CachePolicy) -> Iterator[str]:
    for position, tag in enumerate(cache.tags):
        if tag.partition(":")[0] in OWN_TAGS:
            yield f"/cache/tags/{position}: every entry has the tags {' and '.join(sorted(OWN_TAGS))} anyway"
        in_path = _VARIABLE.findall(policy.path)
        for variable in _VARIABLE.findall(tag):
            if variable not in in_path and policy.arguments.get(variable) not in {"path", "query"}:
                yield f"/cache/tags/{position}: '{variable}' is no argument from the path or the query"


def directives(cache_control: str) -> set[str]:
    """The names of the directives in a ``Cache-Control`` value."""
    return {part.partition("=")[0].strip().lower() for part in cache_control.split(",")}
