"""What is wrong with a route's transforms: they never touch what keeps connections, callers and browsers safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.upstreams.headers import CREDENTIALS, FRAMING, HOP_BY_HOP, may_pass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.policies import RoutePolicy, Table
    from edge.transforms.policy import Changes, FieldChanges, JsonChanges, Transforms

UNTOUCHABLE = HOP_BY_HOP | FRAMING | CREDENTIALS
ABOUT_THE_BODY = frozenset({"content-type", "content-encoding", "content-range", "range", "accept-encoding"})
OF_THE_REQUEST = frozenset({"origin", "idempotency-key", "if-match", "if-none-match", "tracestate"})
OF_THE_ANSWER = frozenset(
    {
        "x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy",
        "strict-transport-security", "permissions-policy", "x-permitted-cross-domain-policies", "x-xss-protection",
        "cross-origin-opener-policy", "cross-origin-embedder-policy", "cross-origin-resource-policy",
        "content-security-policy-report-only", "x-request-id", "server-timing", "server", "alt-svc", "set-cookie",
        "www-authenticate", "retry-after", "allow", "ratelimit", "ratelimit-policy", "idempotency-replayed",
        "cache-control", "cache-status", "age", "date", "vary", "etag", "x-cart-token", "clear-site-data",
    }
)  # fmt: skip
ACROSS_ORIGINS = "access-control-"


def transforms_faults(policy: RoutePolicy, table: Table) -> Iterator[str]:
    """Changes that are none, meet each other, or touch what must stay as it is."""
    del table
    transforms = policy.transforms
    if transforms is None:
        return
    yield from _purpose_faults(policy, transforms)
    for direction, changes in (("request", transforms.request), ("response", transforms.response)):
        at = f"/transforms/{direction}"
        if changes is None:
            continue
        if changes == type(changes)():
            yield f"{at}: nothing is changed here"
        yield from _field_faults(f"{at}/headers", changes.headers, is_answer=direction == "response")
        yield from _json_faults(f"{at}/json", changes.json)


def _purpose_faults(policy: RoutePolicy, transforms: Transforms) -> Iterator[str]:
    if policy.local is not None:
        yield "/transforms: what the edge answers itself needs none"
    if transforms.request is None and transforms.response is None:
        yield "/transforms: nothing is changed here"
    if policy.http is None and _has_headers(transforms.request):
        yield "/transforms/request/headers: only a service that speaks HTTP is told header fields"
    if transforms.request is not None and transforms.request.json is not None and policy.method == "GET":
        yield "/transforms/request/json: GET takes no body"


def _has_headers(changes: Changes | None) -> bool:
    return changes is not None and changes.headers is not None


def _field_faults(at: str, changes: FieldChanges | None, *, is_answer: bool) -> Iterator[str]:
    if changes is None:
        return
    named = [*changes.remove, *changes.rename, *changes.rename.values(), *changes.set, *changes.add]
    for name in named:
        if not _is_free(name.lower(), is_answer=is_answer):
            yield f"{at}: '{name}' is not for a route to change"
    results = [name.lower() for name in (*changes.rename.values(), *changes.set, *changes.add)]
    for name in sorted({name for name in results if results.count(name) > 1}):
        yield f"{at}: '{name}' is written twice"


def _is_free(name: str, *, is_answer: bool) -> bool:
    if name in UNTOUCHABLE or name in ABOUT_THE_BODY or not may_pass(name):
        return False
    return (
        name not in OF_THE_ANSWER and not name.startswith(ACROSS_ORIGINS) if is_answer else name not in OF_THE_REQUEST
    )


def _json_faults(at: str, changes: JsonChanges | None) -> Iterator[str]:
    if changes is None:
        return
    moved = [name for members in changes.nest.values() for name in members]
    for name in sorted({name for name in moved if moved.count(name) > 1}):
        yield f"{at}/nest: '{name}' is moved twice"
    for into, members in changes.nest.items():
        if into in members or not members:
            yield f"{at}/nest: '{into}' needs members other than itself"
        if into in changes.set:
            yield f"{at}/set: '{into}' is what others are moved into"
    for place in changes.rename:
        if place in changes.drop:
            yield f"{at}/rename: '{place}' is dropped before"
