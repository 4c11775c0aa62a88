"""What the pipeline's stages and targets work with: one instance of each per worker, handed in by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from edge.admission.door import Admission
from edge.cache.answering import ResponseCache
from edge.plugins.opening import Plugins
from edge.status.sight import Sight
from edge.upstreams.upstreams import Upstreams

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from edge.keys import KeyRing
    from edge.limiting.limiter import Limiter
    from edge.revocations import Revocations
    from edge.rpc.calls import Rpc
    from edge.rpc.rulings import Rulings
    from edge.settings import Settings
    from shared.values.times import Clock


class Health(Protocol):
    """The state of what this worker depends on."""

    @property
    def is_out(self) -> bool:
        """Whether requests should go elsewhere, whatever the shop is like: it leaves, or an operator wants it so."""
        ...

    def ready(self) -> bool:
        """Whether requests should be sent here at all."""
        ...

    def dependencies(self) -> dict[str, str]:
        """Per dependency: ``ok``, ``degraded`` or ``down``."""
        ...

    def services(self) -> dict[str, dict[str, Any]]:
        """Per service: breaker state, calls in flight and waiting, consumers seen on its queue."""
        ...


@dataclass(frozen=True, kw_only=True)
class Collaborators:
    """Everything a stage or a target may ask for."""

    settings: Settings
    rpc: Rpc
    redis: Redis
    clock: Clock
    revocations: Revocations
    keys: KeyRing
    health: Health
    rulings: Rulings | None = None
    admission: Admission = field(default_factory=Admission)
    cache: ResponseCache = field(default_factory=ResponseCache)
    limiter: Limiter
    upstreams: Upstreams = field(default_factory=Upstreams)
    sight: Sight = field(default_factory=Sight)
    plugins: Plugins = field(default_factory=Plugins)
