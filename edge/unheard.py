"""Words that a route says and its target would not hear: refused, since nobody would notice that they do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge.callables import method_named
from edge.policies import Answer, LocalTarget, RoutePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORDS = frozenset(Answer.__struct_fields__)
NO_CONTENT = 204
ABOUT_NO_CONTENT = frozenset({"status", "cache_control"})

HEARD: Mapping[LocalTarget, frozenset[str]] = {
    "log_in": WORDS,
    "log_out": WORDS,
    "grant_token": WORDS - {"cache_control"},
    "oauth_metadata": frozenset({"cache_control"}),
    "openapi": frozenset({"cache_control"}),
    "docs_asset": frozenset({"cache_control"}),
    "problems": frozenset({"cache_control"}),
    "problem_page": frozenset({"cache_control"}),
}
"""Which words of ``answer`` the targets written by hand make use of; those that are not here, none."""

INSTEAD = {
    "hide": "drop members with 'transforms: {response: {json: {drop: [NAME]}}}'",
    "headers": "write headers with 'transforms: {response: {headers: {set: {NAME: VALUE}}}}'",
    "cache_control": "it counts only where 'cache' keeps what the service says nothing about",
}


KEEP_NO_ANSWER: frozenset[LocalTarget] = frozenset({"log_in", "grant_token"})
"""Targets that change something and answer with secrets. Of methods the contract says it (``keeps_answer``)."""


def heard_of(policy: RoutePolicy) -> frozenset[str]:
    """The words of ``answer`` that this route's target goes by."""
    if policy.http is not None:
        return frozenset({"cache_control"} if policy.cache is not None else ())
    return WORDS if policy.local is None else HEARD.get(policy.local, frozenset())


def unheard_faults(policy: RoutePolicy, said: Mapping[str, Any]) -> Iterator[str]:
    """What the route's text ``said`` in vain, default or not."""
    answer, heard = said.get("answer"), heard_of(policy)
    silenced = heard - ABOUT_NO_CONTENT if policy.answer.status == NO_CONTENT else frozenset()
    for word in answer if isinstance(answer, dict) else ():
        if word in WORDS - heard:
            yield f"/answer/{word}: {_why_not(policy, word)}"
        elif word in silenced:
            yield f"/answer/{word}: an answer 204 has none: leave it out, or say another status"
    if policy.http is not None:
        yield from _limits_beside_http(policy, said)
    yield from _key_faults(policy)


def _why_not(policy: RoutePolicy, word: str) -> str:
    if policy.http is not None:
        instead = INSTEAD.get(word, "it says this itself")
        return f"the answer of a service that speaks HTTP is its own: {instead}"
    return f"'{policy.local}' does not go by this: leave it out"


def _key_faults(policy: RoutePolicy) -> Iterator[str]:
    """A key that is promised to count where no answer is kept, or said not to where one is."""
    if policy.http is not None:
        if policy.idempotency == "ignored":
            yield "/idempotency: the service has the key and decides: say 'none' if it has no use for it"
    elif _keeps_answer(policy):
        if policy.idempotency == "ignored":
            yield "/idempotency: answers are kept here: say 'accepted' or 'required'"
    elif policy.idempotency in {"accepted", "required"}:
        yield "/idempotency: the answers are secrets that nobody keeps: say 'ignored'"


def _keeps_answer(policy: RoutePolicy) -> bool:
    """Also where it is not known what the route leads to, of which other faults tell."""
    if policy.local is not None:
        return policy.local not in KEEP_NO_ANSWER
    try:
        return policy.call is None or method_named(policy.call).keeps_answer
    except LookupError:
        return True


def _limits_beside_http(policy: RoutePolicy, said: Mapping[str, Any]) -> Iterator[str]:
    """One limit counts: that of what is passed on, or that of what is read here because it is changed."""
    changes = policy.transforms.request if policy.transforms else None
    spoken = said.get("http")
    if changes is None or changes.json is None:
        if "body_limit" in said:
            yield "/body_limit: the body is passed on: say it in 'http: {body_limit: BYTES}'"
        elif policy.method == "GET" and isinstance(spoken, dict) and "body_limit" in spoken:
            yield "/http/body_limit: a GET has no body: leave it out"
    elif isinstance(spoken, dict) and "body_limit" in spoken:
        yield "/http/body_limit: the body is read here, to be changed: say the route's own 'body_limit'"
