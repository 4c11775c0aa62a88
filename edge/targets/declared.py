"""What the hand-written targets take and give, so that the route table can be checked against them too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge.policies import LocalTarget
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


class RouteLine(Answer, frozen=True, kw_only=True):
    """One route, for the administrator."""

    name: str
    method: str
    path: str
    target: str
    auth: str
    scopes: list[str]


@dataclass(frozen=True)
class Declared:
    """One hand-written target. ``answer`` is ``None`` where the answer is no JSON."""

    request: type[Request]
    answer: Any = None
    mutating: bool = False


DECLARED: dict[LocalTarget, Declared] = {
    "log_in": Declared(LogIn, TokenPair, mutating=True),
    "log_out": Declared(RevokeSession, Nothing, mutating=True),
    "alive": Declared(NoArguments, State),
    "ready": Declared(NoArguments, State),
    "openapi": Declared(NoArguments, dict[str, Any]),
    "docs": Declared(NoArguments),
    "docs_asset": Declared(Asset),
    "problem_page": Declared(ProblemName),
    "show_routes": Declared(NoArguments, list[RouteLine]),
    "show_breakers": Declared(NoArguments, dict[str, Any]),
}
