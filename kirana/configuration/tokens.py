"""What policies and tokens of Consul's access control are called, wherever they are drawn, granted or mounted."""

from __future__ import annotations

from pathlib import Path

from kirana.stack.state import CHECKOUT

POLICIES = CHECKOUT / "consul" / "policies"


def names(policies: Path = POLICIES) -> list[str]:
    """Every process kind that has a policy."""
    return sorted(path.stem for path in policies.glob("*.hcl"))


def policy_of(name: str) -> str:
    """What the policy of a process kind is called in Consul."""
    return f"kirana-{name}"


def file_of(name: str) -> str:
    """What the file with its token is called, in a folder and in the store of a cluster's secrets."""
    return f"{name}_consul_token"


FIRST = file_of("first")
"""The one that may do everything."""
