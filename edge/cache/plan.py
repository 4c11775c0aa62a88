"""What a route's cache policy means for one request: its key and its tags, worked out as far as possible beforehand."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

import msgspec

from edge.cache.policy import CachePolicy
from shared.contracts.identity import ADMIN_SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge.exchange import Exchange
    from edge.policies import RoutePolicy
    from edge.tokens import Caller

REMEMBERED_QUERIES = 4096
LONGEST_REMEMBERED = 512
LONGEST_QUERY = 4096
EVERYTHING = "all"
STAFF = frozenset(ADMIN_SCOPES)
_VARIABLE = re.compile(r"\{([a-z_]+)\}")


class Plan:
    """A compiled policy.

    Routes that differ in a word never share a key, so a new route table finds no answer of an old one's.
    """

    __slots__ = (
        "_by_class", "_by_scopes", "_known", "_prefix", "_tags", "_template", "brief_life", "life", "policy", "route",
        "route_deadline",
    )  # fmt: skip

    def __init__(self, policy: RoutePolicy, cache: CachePolicy) -> None:
        spelled = msgspec.json.encode([policy, "2"], order="deterministic")
        self.route = policy.name
        self.route_deadline = policy.deadline
        self.policy = cache
        self.life = cache.ttl + max(cache.stale_while_revalidate, cache.stale_if_error)
        self.brief_life = cache.ttl + cache.stale_while_revalidate
        self._prefix = f"{policy.name}\n{sha256(spelled).hexdigest()[:12]}\n"
        named = frozenset(name for name, source in policy.arguments.items() if source == "query")
        self._known = None if policy.http is not None else named
        self._by_class = cache.vary == "caller-class"
        parts = policy.aggregate.parts if policy.aggregate is not None else []
        self._by_scopes = policy.http is not None or any(part.http is not None for part in parts)
        self._template = policy.path
        self._tags = [(tag, _VARIABLE.findall(tag)) for tag in cache.tags]

    def key_of(self, exchange: Exchange) -> str | None:
        """Names the answer to this request; ``None`` if none that is kept can be the answer.

        A service that speaks HTTP is told the caller's scopes, and may show more to whoever has more of them.
        Path segments are printable, so the line feeds between the parts cannot be forged.
        """
        if exchange.body:
            return None  # a GET with a body is refused by the contract, not answered
        return self.key_for(exchange.variables, exchange.request.query_string, exchange.caller)

    def key_for(self, variables: Mapping[str, str], query: str, caller: Caller | None) -> str | None:
        """As :meth:`key_of`, of a request without a body that nothing has been made of yet."""
        key = self._prefix + "\n".join(variables.values()) if variables else self._prefix
        if query:
            known = self._query(query)
            if known is None:
                return None
            key = f"{key}\n?{known}"
        if self.policy.private:
            return None if caller is None else f"{key}\n{self._whose(caller)}"
        return f"{key}\nclass={class_of(caller)}" if self._by_class else key

    def class_told(self, caller: Caller | None) -> str | None:
        """The class in this caller's key, ``None`` where there is none in it."""
        return class_of(caller) if self._by_class else None

    def _whose(self, caller: Caller) -> str:
        scopes = f" scopes={' '.join(sorted(caller.scopes))}" if self._by_scopes else ""
        return f"user={caller.user_id}{scopes}"

    def _query(self, query: str) -> str | None:
        """What of the query is part of the key. A service that speaks HTTP sees it as it came, so there it all is."""
        if self._known is None:
            return query
        return _remembered(self._known, query) if len(query) <= LONGEST_REMEMBERED else _known(self._known, query)

    def tags_of(self, exchange: Exchange) -> tuple[str, ...]:
        """What this request's answer tells of: the policy's tags, the path, and ``all``."""
        arguments = dict(parse_qsl(exchange.request.query_string, keep_blank_values=True)) | exchange.variables
        named = [tag.format_map(arguments) for tag, needed in self._tags if all(name in arguments for name in needed)]
        return (EVERYTHING, path_tag(self._template.format_map(exchange.variables)), *named)


def plan_of(policy: RoutePolicy) -> Plan:
    """The plan of a route whose answers are kept. Raises ``LookupError`` for any other."""
    if policy.cache is None:
        raise LookupError(f"The answers of {policy.name} are not kept.")
    return Plan(policy, policy.cache)


def path_tag(path: str) -> str:
    """The tag that every answer at ``path`` has, whatever its query or caller."""
    return f"path:{path.rstrip('/')}"


def class_of(caller: Caller | None) -> str:
    """Which of three kinds of callers this is; says nothing about who."""
    if caller is None:
        return "guest"
    return "staff" if STAFF & caller.scopes else "customer"


def _known(known: Iterable[str], query: str) -> str | None:
    """The query in the one order and spelling under which its answer is kept; ``None`` where the contract says no."""
    if len(query) > LONGEST_QUERY:
        return None
    try:
        given = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError:
        return None
    names: Mapping[str, str] = dict(given)
    if len(names) != len(given) or not names.keys() <= set(known):
        return None
    return urlencode(sorted(given))


_remembered = lru_cache(maxsize=REMEMBERED_QUERIES)(_known)
