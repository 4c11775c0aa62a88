"""The last word on who is there: read by anybody at any time, written only by the watch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

_SEVERITY = {"passing": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class Instance:
    """One running process of a service. ``status`` is that of its worst check."""

    id: str
    service: str
    address: str
    port: int
    status: str = "passing"
    meta: dict[str, str] = field(default_factory=dict)


class InstanceTable:
    """Per service: its instances as Consul named them last. Consul away: they stay."""

    def __init__(self) -> None:
        self._instances: dict[str, tuple[Instance, ...]] = {}
        self.is_current = False

    def replace(self, service: str, instances: tuple[Instance, ...]) -> None:
        """Take in what Consul says now."""
        self._instances[service] = instances

    def passing(self, service: str) -> tuple[Instance, ...]:
        """The instances that may be sent to."""
        return tuple(one for one in self._instances.get(service, ()) if one.status == "passing")

    def instances(self) -> dict[str, list[dict[str, Any]]]:
        """Everything, as plain JSON."""
        return {service: [asdict(one) for one in known] for service, known in self._instances.items()}


def read_instances(service: str, nodes: list[dict[str, Any]]) -> tuple[Instance, ...]:
    """Read Consul's answer about one service, in a stable order."""
    return tuple(sorted((_instance_of(service, node) for node in nodes), key=lambda one: one.id))


def _instance_of(service: str, node: dict[str, Any]) -> Instance:
    described = node["Service"]
    statuses = [check.get("Status", "critical") for check in node.get("Checks", [])]
    return Instance(
        id=described["ID"],
        service=service,
        address=described.get("Address") or node.get("Node", {}).get("Address", ""),
        port=described.get("Port", 0),
        status=max(statuses, key=lambda status: _SEVERITY.get(status, 2), default="passing"),
        meta=described.get("Meta") or {},
    )
