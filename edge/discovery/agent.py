"""The local Consul agent as the edge needs it: a thin, bounded way to talk to it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import aiohttp
from consul.aio import Consul
from consul.exceptions import ConsulException

if TYPE_CHECKING:
    from edge.discovery.table import Instance

AGENT_ERRORS = (ConsulException, aiohttp.ClientError, OSError, TimeoutError, ValueError)
"""Whatever an agent that is away, restarting or confused can raise."""

WAIT_SECONDS = 30
REAPED_AFTER = "10m"


class Agent(Protocol):
    """What registration and watching need of an agent. Everything may raise one of ``AGENT_ERRORS``."""

    async def register(self, instance: Instance, *, check_id: str, ttl_seconds: int, meta: dict[str, str]) -> None:
        """Announce an instance with a check that it must renew within ``ttl_seconds``."""
        ...

    async def renew(self, check_id: str, status: str, note: str) -> bool:
        """Report ``passing``, ``warning`` or ``critical``; ``False`` when the agent does not know the check."""
        ...

    async def deregister(self, instance_id: str) -> None:
        """Take an instance out."""
        ...

    async def instances(self, service: str, *, index: int | None) -> tuple[int, list[dict[str, Any]]]:
        """All instances of a service; with ``index``, as soon as they differ from then, or after 30 seconds."""
        ...


class ConsulAgent:
    """An agent behind HTTP. Make it inside a running event loop; close it."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # py-consul hands aiohttp options by their old names
            self._consul = Consul(
                host=parts.hostname or "127.0.0.1",
                port=parts.port or 8500,
                scheme=parts.scheme,
                token=token,
                verify=parts.scheme == "https",
                connections_timeout=WAIT_SECONDS + 10,
            )

    async def register(self, instance: Instance, *, check_id: str, ttl_seconds: int, meta: dict[str, str]) -> None:
        """Announce an instance; the agent forgets it ten minutes after its last sign of life."""
        check = {
            "CheckID": check_id,
            "TTL": f"{ttl_seconds}s",
            "DeregisterCriticalServiceAfter": REAPED_AFTER,
        }
        await self._consul.agent.service.register(
            instance.service,
            service_id=instance.id,
            address=instance.address,
            port=instance.port,
            check=check,
            meta=meta,
            replace_existing_checks=True,
        )

    async def renew(self, check_id: str, status: str, note: str) -> bool:
        """Report a state. An agent that restarted answers with an error or ``False``."""
        check = self._consul.agent.check
        report = {"passing": check.ttl_pass, "warning": check.ttl_warn, "critical": check.ttl_fail}[status]
        return bool(await report(check_id, notes=note))

    async def deregister(self, instance_id: str) -> None:
        """Take an instance out."""
        await self._consul.agent.service.deregister(instance_id)

    async def instances(self, service: str, *, index: int | None) -> tuple[int, list[dict[str, Any]]]:
        """A blocking query when ``index`` is given."""
        wait = f"{WAIT_SECONDS}s" if index is not None else None
        seen, nodes = await self._consul.health.service(service, index=index, wait=wait)
        return int(seen), nodes or []

    async def value(self, key: str, *, index: int | None) -> tuple[int, bytes | None, int]:
        """A key's value and the index of its last change; a blocking query when ``index`` is given.

        Read consistently: a server that has just restarted would otherwise say of every key that there is none, until
        it has read its own log again.
        """
        wait = f"{WAIT_SECONDS}s" if index is not None else None
        seen, found = await self._consul.kv.get(key, index=index, wait=wait, consistency="consistent")
        if found is None:
            return int(seen), None, 0
        return int(seen), found["Value"] or b"", int(found["ModifyIndex"])

    async def put(self, key: str, value: bytes, *, unchanged_since: int) -> bool:
        """Check and set; ``False`` when somebody was faster."""
        return bool(await self._consul.kv.put(key, value, cas=unchanged_since))

    async def close(self) -> None:
        """Close the connections."""
        await self._consul.close()
