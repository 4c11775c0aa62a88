"""Who can open a connection to whom, as Kubernetes' network policies have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(frozen=True)
class Party:
    """A pod, one of ours or of another namespace, or an address outside of the cluster."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: Mapping[str, str] | None = None
    """The labels of its namespace, if that is not the policies' own."""
    address: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the policies can select it at all."""
        return self.namespace is None and self.address is None


class Policies:
    """All network policies of one namespace."""

    def __init__(self, policies: Iterable[Mapping[str, Any]]) -> None:
        self._policies = [policy["spec"] for policy in policies]

    def allow(self, source: Party, target: Party, port: int, protocol: str = "TCP") -> bool:
        """Whether the one may send to the other: both ends must agree."""
        return self.lets_out(source, target, port, protocol) and self.lets_in(source, target, port, protocol)

    def lets_out(self, source: Party, target: Party, port: int, protocol: str = "TCP") -> bool:
        """Whether the source's end agrees."""
        return self._agrees(source, "Egress", target, (port, protocol))

    def lets_in(self, source: Party, target: Party, port: int, protocol: str = "TCP") -> bool:
        """Whether the target's end agrees."""
        return self._agrees(target, "Ingress", source, (port, protocol))

    def _agrees(self, party: Party, direction: str, other: Party, to: tuple[int, str]) -> bool:
        if not party.is_ours:
            return True
        side, field_name = ("from", "ingress") if direction == "Ingress" else ("to", "egress")
        bound = [
            policy
            for policy in self._policies
            if direction in policy["policyTypes"] and _selects(policy["podSelector"], party.labels)
        ]
        rules = [rule for policy in bound for rule in policy.get(field_name, ())]
        return not bound or any(_is_peer(rule.get(side), other) and _is_port(rule.get("ports"), *to) for rule in rules)


def _is_peer(peers: Any, party: Party) -> bool:
    return peers is None or any(_matches(peer, party) for peer in peers)


def _matches(peer: Mapping[str, Any], party: Party) -> bool:
    if "ipBlock" in peer:
        return party.address is not None and _is_within(peer["ipBlock"], party.address)
    if party.address is not None:
        return False
    if "namespaceSelector" in peer:
        if party.namespace is None or not _selects(peer["namespaceSelector"], party.namespace):
            return False
    elif party.namespace is not None:
        return False
    return _selects(peer.get("podSelector", {}), party.labels)


def _is_within(block: Mapping[str, Any], address: str) -> bool:
    excepted = any(ip_address(address) in ip_network(each) for each in block.get("except", ()))
    return ip_address(address) in ip_network(block["cidr"]) and not excepted


def _is_port(ports: Any, port: int, protocol: str) -> bool:
    return ports is None or any(
        each.get("protocol", "TCP") == protocol and each["port"] <= port <= each.get("endPort", each["port"])
        for each in ports
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    named = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return named and all(_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert expression["operator"] == "In", "nothing else is used"
    return labels.get(expression["key"]) in expression["values"]
