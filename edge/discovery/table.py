"""The last word on who is there: read by anybody at any time, written only by the watch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

_SEVERITY = {"passing": 0, "warning": 1, "critical": 2}
_VERSION_TAG = "version="
MOST_WEIGHT = 1000


@dataclass(frozen=True, slots=True)
class Instance:
    """One running process of a service. ``status`` is that of its worst check."""

    id: str
    service: str
    address: str
    port: int
    status: str = "passing"
    meta: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    weight: int = 1

    @property
    def host(self) -> str:
        """The address as it stands before a port: one of IPv6 in brackets (RFC 3986, section 3.2.2)."""
        return f"[{self.address}]" if ":" in self.address else self.address

    @property
    def version(self) -> str:
        """Which version runs there: ``version`` in its meta, or a tag ``version=…``; nothing if it does not say."""
        marked = [tag.removeprefix(_VERSION_TAG) for tag in self.tags if tag.startswith(_VERSION_TAG)]
        return self.meta.get("version") or (marked[0] if marked else "")


class InstanceTable:
    """Per service: its instances as Consul named them last. Consul away: they stay.

    ``on_change`` hears the name of a service whose instances have changed.
    """

    def __init__(self, on_change: Callable[[str], None] = lambda _: None) -> None:
        self._on_change = on_change
        self._instances: dict[str, tuple[Instance, ...]] = {}
        self._passing: dict[str, tuple[Instance, ...]] = {}
        self._alive: dict[str, int] = {}
        self._proven: dict[str, frozenset[str]] = {}
        self.is_current = False

    def replace(self, service: str, instances: tuple[Instance, ...]) -> None:
        """Take in what Consul says now."""
        if self._instances.get(service) != instances:
            self._instances[service] = instances
            self._passing[service] = tuple(one for one in instances if one.status == "passing")
            self._alive[service] = sum(one.status != "critical" for one in instances)
            before = self._proven.get(service, frozenset())
            self._proven[service] = frozenset(
                one.id for one in instances if one.status != "critical" or one.id in before
            )
            self._on_change(service)

    def forget(self, service: str) -> None:
        """Nobody asks for it any more."""
        for known in (self._instances, self._passing, self._alive, self._proven):
            known.pop(service, None)

    def passing(self, service: str) -> tuple[Instance, ...]:
        """The instances that may be sent to: the same object until something changes."""
        return self._passing.get(service, ())

    def alive(self, service: str) -> int:
        """How many instances work, if perhaps with something missing: all that Consul does not call critical."""
        return self._alive.get(service, 0)

    def proven(self, service: str) -> int:
        """How many instances Consul lists that work, or did before: one that only starts has proven nothing yet."""
        return len(self._proven.get(service, ()))

    def everybody(self) -> list[Instance]:
        """Every instance of every service, passing or not, by service and id."""
        return [one for service in sorted(self._instances) for one in self._instances[service]]

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
        tags=tuple(described.get("Tags") or ()),
        weight=_weight_of(described),
    )


def _weight_of(described: dict[str, Any]) -> int:
    """``weight`` in the meta (0: nothing new goes there), else what Consul keeps; 1 for what is no weight."""
    told = (described.get("Meta") or {}).get("weight", (described.get("Weights") or {}).get("Passing", 1))
    return min(int(told), MOST_WEIGHT) if str(told).isdecimal() else 1
