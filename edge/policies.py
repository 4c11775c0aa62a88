"""The vocabulary of the route table: every word that may stand in ``routes.yaml`` and what it may be set to."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Verb = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

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
    "alive",
    "ready",
    "openapi",
    "docs",
    "docs_asset",
    "problem_page",
    "show_routes",
    "show_breakers",
]
"""Targets written by hand, where one call to one service is not the whole answer."""

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=60)]
Label = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*(?!\n)$")]


class Word(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the vocabulary: an unknown key is a fault, never ignored."""


class RateClass(Word, frozen=True, kw_only=True):
    """At most ``quota`` requests in any ``window`` seconds."""

    quota: Count
    window: Annotated[int, Meta(ge=1, le=86_400)]


class Limits(Word, frozen=True, kw_only=True):
    """Rate classes that apply before and after it is known who calls."""

    address: Label
    caller: Label | None = None


class Answer(Word, frozen=True, kw_only=True):
    """How a service's answer becomes an HTTP response.

    ``location`` is a template over the answer's members; ``headers`` moves members into headers; ``hide`` drops
    members; ``page`` turns ``{items, next_cursor}`` into a plain array and a ``Link``; ``etag`` says whether the tag
    carries the resource's version (which ``If-Match`` can then name) or only tells contents apart.
    """

    status: Literal[200, 201, 204] = 200
    location: str | None = None
    etag: Literal["none", "version", "content"] = "none"
    page: bool = False
    hide: list[str] = []
    headers: dict[str, str] = {}
    cache_control: str = "no-store"


class RoutePolicy(Word, frozen=True, kw_only=True):
    """One route. What could fail open (``auth``, ``limits``) has no default and must be said."""

    name: Label
    method: Verb
    path: Annotated[str, Meta(pattern=r"^/[a-z0-9_./{}-]*(?!\n)$")]
    summary: Annotated[str, Meta(min_length=1, max_length=120)]
    tag: Annotated[str, Meta(min_length=1, max_length=40)]
    auth: Literal["none", "optional", "required"]
    limits: Limits | None
    call: str | None = None
    local: LocalTarget | None = None
    arguments: dict[str, Source] = {}
    scopes: list[str] = []
    deadline: Seconds = 5.0
    body_limit: Annotated[int, Meta(ge=0, le=1_000_000)] = 16_384
    idempotency: Literal["none", "accepted", "required"] = "none"
    answer: Answer = Answer()


class Table(Word, frozen=True, kw_only=True):
    """The whole file, as far as its outer shape goes; each route is then read on its own."""

    rates: dict[Label, RateClass]
    routes: list[dict[str, object]]
