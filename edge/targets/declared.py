"""What the hand-written targets take and give, so that the route table can be checked against them too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from edge.policies import BodyKind, LocalTarget
from edge.targets.oauth_types import GrantedToken, GrantToken, OAuthMetadata
from edge.upstreams.policy import ServiceName
from shared.contracts.cart import CartToken
from shared.contracts.identity import IssueTokens, RevokeSession, TokenPair
from shared.contracts.method import Answer, Nothing, Request


class LogIn(IssueTokens, frozen=True, kw_only=True):
    """Log in, and bring along the cart that was filled as a guest."""

    cart_token: CartToken | None = None


class Asset(Request, frozen=True, kw_only=True):
    """A file of the documentation page."""

    file: str


class ProblemName(Request, frozen=True, kw_only=True):
    """A kind of problem, as the last part of a problem document's ``type``."""

    name: str


class NoArguments(Request, frozen=True, kw_only=True):
    """Nothing is asked for but the page itself."""


class State(Answer, frozen=True, kw_only=True):
    """Whether this edge can serve. Per dependency ``ok``, ``degraded`` or ``down``."""

    status: str
    dependencies: dict[str, str]


class Configuration(Request, frozen=True, kw_only=True):
    """How a route table is offered; the table is the body. ``if_version`` names the one that it may replace."""

    dry_run: bool = False
    if_version: str | None = None


class Change(Answer, frozen=True, kw_only=True):
    """One word of the table that differs; values as JSON, ``-`` where it is not said."""

    pointer: str
    before: str
    after: str


class Difference(Answer, frozen=True, kw_only=True):
    """A route or rate class (``routes/get_cart``, ``rates/browse``), ``unrouted``, or the order of the routes."""

    place: str
    kind: Literal["added", "removed", "changed"]
    changes: list[Change]


class Proposal(Answer, frozen=True, kw_only=True):
    """What the offered table is and changes, compared with the one in force."""

    version: str
    replaces: str
    dry_run: bool
    differences: list[Difference]


class PurgeCache(Request, frozen=True, kw_only=True):
    """Which kept answers are to go: exactly one of these."""

    tag: Annotated[str, Meta(max_length=80, pattern=r"^[a-z]+(:[a-z0-9_-]+)?(?!\n)$")] | None = None
    path: Annotated[str, Meta(max_length=200, pattern=r"^/[^\x00-\x20?#]*(?!\n)$")] | None = None
    everything: bool = False


class Purged(Answer, frozen=True, kw_only=True):
    """The tag that every worker of every edge was told to purge."""

    tag: str


class RefusedTable(Answer, frozen=True, kw_only=True):
    """A table that Consul holds and this edge does not take."""

    version: str
    origin: str
    since: str
    faults: list[str]


class RouteLine(Answer, frozen=True, kw_only=True):
    """One route, for the administrator."""

    name: str
    method: str
    path: str
    target: str
    auth: str
    scopes: list[str]


class TableInForce(Answer, frozen=True, kw_only=True):
    """The table that this worker serves by; ``text`` is what it was made from."""

    version: str
    origin: str
    since: str
    refused: RefusedTable | None
    routes: list[RouteLine]
    text: str


class SetBreaker(Request, frozen=True, kw_only=True):
    """Hold all breakers of a service, or one's, until ``automatic`` lets them decide for themselves again.

    There is one for each ``method`` of our own services, and for each ``route`` to a service that speaks HTTP.
    """

    service: ServiceName
    state: Literal["open", "closed", "automatic"]
    method: Annotated[str, Meta(max_length=80)] | None = None
    route: Annotated[str, Meta(max_length=200)] | None = None


class BreakerSet(Answer, frozen=True, kw_only=True):
    """What holds now; every worker of every edge obeys within so many seconds."""

    service: str
    method: str | None
    route: str | None
    state: str
    everywhere_within: float


@dataclass(frozen=True)
class Declared:
    """One hand-written target. ``answer`` is ``None`` where the answer is no JSON; ``body`` says what is read.

    ``kept_here`` says that the edge keeps the answers to what came with an Idempotency-Key, as no service does.
    """

    request: type[Request]
    answer: Any = None
    mutating: bool = False
    body: BodyKind = "json"
    kept_here: bool = False


DECLARED: dict[LocalTarget, Declared] = {
    "log_in": Declared(LogIn, TokenPair, mutating=True),
    "log_out": Declared(RevokeSession, Nothing, mutating=True),
    "grant_token": Declared(GrantToken, GrantedToken, mutating=True, body="form"),
    "oauth_metadata": Declared(NoArguments, OAuthMetadata),
    "alive": Declared(NoArguments, State),
    "serving": Declared(NoArguments, State),
    "ready": Declared(NoArguments, State),
    "openapi": Declared(NoArguments, dict[str, Any]),
    "docs": Declared(NoArguments),
    "docs_asset": Declared(Asset),
    "problem_page": Declared(ProblemName),
    "redoc": Declared(NoArguments),
    "problems": Declared(NoArguments),
    "status": Declared(NoArguments),
    "status_json": Declared(NoArguments, dict[str, Any]),
    "show_routes": Declared(NoArguments, TableInForce),
    "put_config": Declared(Configuration, Proposal, mutating=True, body="text", kept_here=True),
    "show_breakers": Declared(NoArguments, dict[str, Any]),
    "set_breaker": Declared(SetBreaker, BreakerSet, mutating=True, kept_here=True),
    "purge_cache": Declared(PurgeCache, Purged, mutating=True, kept_here=True),
}
