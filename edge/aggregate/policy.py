"""The words of a route that asks several services at once (``aggregate:``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from edge.upstreams.policy import HttpPolicy
from edge.vocabulary import Label, Seconds, Word

PartSource = Literal["path", "query", "caller.user_id", "caller.session_id", "caller.cart_token", "caller.address"]
"""Where a part's argument comes from. Aggregates only read, so there is neither a body nor a precondition."""

MOST_PARTS = 8


class PartPolicy(Word, frozen=True, kw_only=True):
    """One member of the answer, from one service.

    ``fixed`` are arguments that the table itself says. Without a ``required`` part there is no answer; one that is not
    required and down is ``fallback`` instead, and named in ``unavailable``; one that is refused is null, and named in
    ``refused``. ``deadline`` is the part's own budget in seconds, within the route's. ``page`` takes the ``items`` of a
    page, ``hide`` drops members.
    """

    name: Label
    required: bool
    call: str | None = None
    http: HttpPolicy | None = None
    arguments: dict[str, PartSource] = field(default_factory=dict)
    fixed: dict[str, str | int | bool] = field(default_factory=dict)
    deadline: Seconds | None = None
    fallback: Any = None
    page: bool = False
    hide: list[str] = field(default_factory=list)


class AggregatePolicy(Word, frozen=True, kw_only=True):
    """The parts, in the order in which they stand in the answer."""

    parts: Annotated[list[PartPolicy], Meta(min_length=1, max_length=MOST_PARTS)]
