"""The words of a route that leads to an HTTP service (``http:``). Nothing here that could fail open has a default."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from edge.vocabulary import Seconds, Word

ServiceName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}(?!\n)$")]
"""As the service is registered in Consul."""

VersionName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}(?!\n)$")]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}(?!\n)$")]
Share = Annotated[int, Meta(ge=0, le=1000)]
Credential = Literal["authorization", "cookie", "x-cart-token"]
MOST_BODY_BYTES = 1_073_741_824


class ByHeader(Word, frozen=True, kw_only=True):
    """Who sends ``name`` with one of ``values`` gets that version, whatever the shares: ``{"1": canary}``."""

    name: HeaderName
    values: Annotated[dict[str, VersionName], Meta(min_length=1)]


class Versions(Word, frozen=True, kw_only=True):
    """How requests are divided among versions, which instances name in Consul (``version`` in their meta or tags).

    ``split`` gives each its share; one with the share 0 is reached by header only. ``sticky`` keeps a caller, or an
    address, with one version as long as the shares stay. Instances of versions that are not named get nothing.
    """

    split: Annotated[dict[VersionName, Share], Meta(min_length=1)]
    header: ByHeader | None = None
    sticky: Literal["caller", "address"] | None = None


class Ejection(Word, frozen=True, kw_only=True):
    """When an instance that fails is left out, and how it comes back.

    After ``failures`` in a row, for ``first`` seconds, twice as long each next time up to ``longest``, never more than
    ``most_percent`` of all, or of its version where the route divides. Back again, its share grows from a tenth to the
    whole in ``slow_start`` seconds.
    """

    failures: Annotated[int, Meta(ge=1, le=100)] = 5
    first: Seconds = 10.0
    longest: Annotated[float, Meta(gt=0, le=3600)] = 300.0
    most_percent: Annotated[int, Meta(ge=0, le=100)] = 50
    slow_start: Annotated[float, Meta(ge=0, le=600)] = 10.0


class SlowCalls(Word, frozen=True, kw_only=True):
    """An answer whose head takes longer than ``seconds`` is slow. When ``percent`` are, the breaker opens."""

    seconds: Seconds
    percent: Annotated[int, Meta(ge=1, le=100)] = 80


class Breaking(Word, frozen=True, kw_only=True):
    """When the route's breaker opens, and for how many seconds.

    After ``failures`` in a row without an answer; or when of at least ``calls`` in ten seconds ``percent`` failed, or
    as many as ``slow`` says were slow. Answers that are no use (502, 503, 504) are told apart: alone they open it at
    nine in ten, for two seconds, since somebody is there to say so.
    """

    failures: Annotated[int, Meta(ge=1, le=1000)] = 5
    calls: Annotated[int, Meta(ge=1, le=10_000)] = 20
    percent: Annotated[int, Meta(ge=1, le=100)] = 50
    slow: SlowCalls | None = None
    open_for: Annotated[float, Meta(gt=0, le=600)] = 30.0


class HttpPolicy(Word, frozen=True, kw_only=True):
    """Where requests go and on which terms. Times are seconds.

    ``path`` is the path there, with the route's variables (default: the route's own). ``hash`` is ``caller``,
    ``address`` or ``header NAME``. ``credentials`` names what of the client's secrets the service may see.
    ``connect`` bounds making a connection, ``silence`` the time between two parts of an answer, ``longest`` a whole
    answer (or tunnel); the route's ``deadline`` bounds the way to an answer's head. ``connections`` are per instance
    and worker. ``retries`` is for idempotent methods, and for what certainly reached nobody.
    """

    service: ServiceName
    path: Annotated[str, Meta(pattern=r"^/[A-Za-z0-9_./{}~-]*(?!\n)$")] | None = None
    balance: Literal["round-robin", "least-outstanding", "hash"] = "least-outstanding"
    hash: Annotated[str, Meta(pattern=r"^(caller|address|header [A-Za-z][A-Za-z0-9-]{0,63})(?!\n)$")] | None = None
    weights: dict[str, Share] = field(default_factory=dict)
    versions: Versions | None = None
    retries: Literal[0, 1] = 1
    connect: Seconds = 1.0
    silence: Seconds = 15.0
    longest: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    connections: Annotated[int, Meta(ge=1, le=10_000)] = 128
    body_limit: Annotated[int, Meta(ge=0, le=MOST_BODY_BYTES)] = 1_000_000
    answer_limit: Annotated[int, Meta(ge=0, le=MOST_BODY_BYTES)] = MOST_BODY_BYTES
    credentials: list[Credential] = field(default_factory=list)
    websocket: bool = False
    ejection: Ejection = Ejection()
    breaker: Breaking = Breaking()
