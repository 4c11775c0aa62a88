"""The vocabulary of the route table: every word that may stand in ``routes.yaml`` and what it may be set to."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from edge.aggregate.policy import AggregatePolicy
from edge.cache.policy import CachePolicy
from edge.plugins.policy import MOST_PLUGINS, PluginPolicy
from edge.transforms.policy import FieldName, Transforms
from edge.upstreams.policy import HttpPolicy
from edge.vocabulary import Count, Label, Seconds, Word

Verb = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

BodyKind = Literal["json", "form", "text"]

CacheControl = Annotated[str, Meta(max_length=200, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?(?!\n)$")]

Source = Literal[
    "path",
    "query",
    "body",
    "if-match",
    "caller.user_id",
    "caller.session_id",
    "caller.cart_token",
    "caller.address",
]
"""Where an argument comes from. ``path``, ``query`` and ``body`` look for a member of the argument's own name."""

LocalTarget = Literal[
    "log_in",
    "log_out",
    "grant_token",
    "oauth_metadata",
    "alive",
    "serving",
    "ready",
    "openapi",
    "docs",
    "docs_asset",
    "problem_page",
    "redoc",
    "problems",
    "status",
    "status_json",
    "show_routes",
    "put_config",
    "show_breakers",
    "set_breaker",
    "purge_cache",
]
"""Targets written by hand, where one call to one service is not the whole answer."""


class RateClass(Word, frozen=True, kw_only=True):
    """At most ``quota`` requests in any ``window`` seconds.

    ``away`` says what happens while Redis is: each worker judges its share alone (``local``), nobody is served
    (``refuse``, 503), or everybody is (``allow``).
    """

    quota: Count
    window: Annotated[int, Meta(ge=1, le=86_400)]
    away: Literal["local", "refuse", "allow"] = "local"


class Limits(Word, frozen=True, kw_only=True):
    """Rate classes that apply before and after it is known who calls."""

    address: Label
    caller: Label | None = None


class Access(Word, frozen=True, kw_only=True):
    """Networks in CIDR notation. ``deny`` wins; where ``allow`` names any, nobody else may."""

    allow: list[str] = field(default_factory=list)
    deny: list[str] = field(default_factory=list)


class Answer(Word, frozen=True, kw_only=True):
    """How a service's answer becomes an HTTP response.

    ``location`` is a template over the path's variables and the answer's members; ``headers`` moves members into
    headers; ``hide`` drops members; ``page`` turns ``{items, next_cursor}`` into a plain array and a ``Link``;
    ``etag`` says whether the tag carries the resource's version (which ``If-Match`` can then name) or only tells
    contents apart.
    """

    status: Literal[200, 201, 204] = 200
    location: Annotated[str, Meta(max_length=200, pattern=r"^/[\x21-\x7e]*(?!\n)$")] | None = None
    etag: Literal["none", "version", "content"] = "none"
    page: bool = False
    hide: list[str] = field(default_factory=list)
    headers: dict[FieldName, str] = field(default_factory=dict)
    cache_control: CacheControl = "no-store"


class RoutePolicy(Word, frozen=True, kw_only=True):
    """One route. What could fail open (``auth``, ``limits``) has no default and must be said.

    ``idempotency`` says what a client's key is worth; it is ``ignored`` where answers are secrets that nobody keeps.
    """

    name: Label
    method: Verb
    path: Annotated[str, Meta(pattern=r"^/[a-z0-9_./{}-]*(?!\n)$")]
    summary: Annotated[str, Meta(min_length=1, max_length=120)]
    tag: Annotated[str, Meta(min_length=1, max_length=40)]
    auth: Literal["none", "optional", "required"]
    limits: Limits | None
    access: Access | None = None
    priority: Literal["health", "checkout", "write", "read"] | None = None
    call: str | None = None
    local: LocalTarget | None = None
    http: HttpPolicy | None = None
    aggregate: AggregatePolicy | None = None
    arguments: dict[str, Source] = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)
    deadline: Seconds = 5.0
    body: BodyKind = "json"
    body_limit: Annotated[int, Meta(ge=0, le=1_000_000)] = 16_384
    idempotency: Literal["none", "ignored", "accepted", "required"] = "none"
    answer: Answer = Answer()
    cache: CachePolicy | None = None
    transforms: Transforms | None = None
    plugins: Annotated[list[PluginPolicy], Meta(max_length=MOST_PLUGINS)] = field(default_factory=list)


class Table(Word, frozen=True, kw_only=True):
    """The whole file, as far as its outer shape goes; each route is then read on its own.

    ``unrouted`` is the rate class, by address, of what no route takes (404, 405).
    """

    rates: dict[Label, RateClass]
    unrouted: Label | None = None
    routes: list[dict[str, object]]
