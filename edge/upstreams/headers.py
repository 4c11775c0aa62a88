"""Which header fields cross the edge: what belongs to one connection stays there, what only the edge may say it says.

The rules for intermediaries are those of RFC 9110, section 7.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Fields = list[tuple[str, str]]

HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings",
    }
)  # fmt: skip
FRAMING = frozenset({"content-length", "host", "expect"})
CREDENTIALS = frozenset({"authorization", "cookie", "x-cart-token"})
SAID_BY_THE_EDGE = frozenset(
    {
        "forwarded", "via", "x-request-id", "traceparent", "true-client-ip", "cf-connecting-ip", "client-ip",
        "x-cluster-client-ip", "x-original-url", "x-original-host", "x-original-method", "x-rewrite-url",
        "x-http-method", "x-http-method-override", "x-method-override", "x-host", "x-url-scheme", "front-end-https",
    }
)  # fmt: skip
SAID_BY_THE_EDGE_PREFIXES = (
    "x-user", "x-auth", "x-forwarded", "x-consumer", "x-remote", "remote-", "x-ssl", "x-client", "x-real", "x-session",
    "x-scope", "x-kirana", "x-envoy", "x-accel", "x-sendfile", "x-identity", "x-jwt",
)  # fmt: skip
"""Services believe these because a gateway says them: who calls, from where, and what was asked for."""

DROPPED_FROM_ANSWERS = frozenset(
    {
        "server", "x-powered-by", "x-aspnet-version", "alt-svc", "strict-transport-security", "x-request-id",
        "server-timing", "via", "x-sendfile", "public-key-pins",
    }
)  # fmt: skip
DROPPED_PREFIXES = ("access-control-", "x-accel-", "x-envoy-")
"""The edge alone says who may read answers across origins, and nothing in front of it takes orders from a service."""

VIA = "1.1 kirana"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_QUOTABLE = re.compile(r"[^\x21\x23-\x5b\x5d-\x7e]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who asks, as the edge knows it. ``before`` is what a trusted proxy in front said of its own client."""

    address: str
    scheme: str
    host: str
    request_id: str
    traceparent: str
    caller_id: str | None = None
    is_client: bool = False
    scopes: Collection[str] = ()
    user_class: str | None = None
    before: dict[str, str] = field(default_factory=dict)


def connection_names(value: str) -> set[str]:
    """The fields that a ``Connection`` header declares to be for this connection only."""
    return {name.strip().lower() for name in value.split(",")}


def to_service(offered: Iterable[tuple[str, str]], sender: Sender, *, credentials: Collection[str]) -> Fields:
    """The fields that go on to the service: the client's end-to-end ones, then what the edge knows."""
    fields = [(name.lower(), value) for name, value in offered]
    bound = set().union(*(connection_names(value) for name, value in fields if name == "connection"))
    kept = [
        (name, value)
        for name, value in fields
        if (may_pass(name) or (name in credentials and name in CREDENTIALS)) and name not in bound
    ]
    return kept + _of_sender(sender)


@lru_cache(maxsize=1024)
def may_pass(name: str) -> bool:
    """Whether a client may say this to a service. ``_`` counts as ``-``, as many frameworks cannot tell them apart."""
    name = name.replace("_", "-")
    if name in HOP_BY_HOP or name in FRAMING or name in CREDENTIALS or name in SAID_BY_THE_EDGE:
        return False
    return not name.startswith(SAID_BY_THE_EDGE_PREFIXES)


def to_client(answered: Iterable[tuple[str, str]]) -> Fields:
    """The fields that go on to the client. Raises ``ValueError`` for one that cannot be written."""
    fields = [(name.lower(), value) for name, value in answered]
    bound = set().union(*(connection_names(value) for name, value in fields if name == "connection"))
    kept = [(name, value) for name, value in fields if _may_return(name) and name not in bound]
    for name, value in kept:
        if not _TOKEN.fullmatch(name) or _CONTROLS.search(value):
            raise ValueError(f"a header field of the answer is malformed: {name[:40]!r}")
    return kept


@lru_cache(maxsize=1024)
def _may_return(name: str) -> bool:
    if name in HOP_BY_HOP or name in DROPPED_FROM_ANSWERS or name == "content-length":
        return False
    return not name.startswith(DROPPED_PREFIXES)


def _of_sender(sender: Sender) -> Fields:
    before = sender.before
    chain = before.get("x-forwarded-for")
    via = before.get("via")
    forwarded = f"for={_node(sender.address)};host={_quoted(sender.host)};proto={sender.scheme}"
    fields = [
        ("x-forwarded-for", f"{chain}, {sender.address}" if chain else sender.address),
        ("x-forwarded-proto", before.get("x-forwarded-proto", sender.scheme)),
        ("x-forwarded-host", before.get("x-forwarded-host", sender.host)),
        ("forwarded", f"{before['forwarded']}, {forwarded}" if "forwarded" in before else forwarded),
        ("via", f"{via}, {VIA}" if via else VIA),
        ("x-request-id", sender.request_id),
        ("traceparent", sender.traceparent),
    ]
    if sender.caller_id is not None:
        who = "x-client-id" if sender.is_client else "x-user-id"
        fields += [(who, sender.caller_id), ("x-user-scopes", " ".join(sorted(sender.scopes)))]
    if sender.user_class is not None:
        fields.append(("x-user-class", sender.user_class))
    return fields


def _node(address: str) -> str:
    """An address as RFC 7239 writes it: IPv6 in brackets and quoted."""
    return f'"[{address}]"' if ":" in address else address or "unknown"


def _quoted(text: str) -> str:
    return f'"{_QUOTABLE.sub("", text)}"'
