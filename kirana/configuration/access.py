"""Gives every process kind a policy and a token of its own in a Consul that has access control; again and again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kirana.configuration.keys import Keys
from kirana.stack.faults import StackFault
from kirana.stack.state import CHECKOUT

POLICIES = CHECKOUT / "consul" / "policies"
FIRST = "consul_first_token"


@dataclass(frozen=True)
class Granted:
    """A process kind, where its token lies, and whether it is a new one."""

    name: str
    path: Path
    is_new: bool


def names() -> list[str]:
    """Every process kind that has a policy."""
    return sorted(path.stem for path in POLICIES.glob("*.hcl"))


def policy_of(name: str) -> str:
    """What the policy of a process kind is called in Consul."""
    return f"kirana-{name}"


def file_of(name: str) -> str:
    """What the file with its token is called, in a folder and in the store of a cluster's secrets."""
    return f"{name}_consul_token"


def take_first(keys: Keys, into: Path) -> Path:
    """Lay the first token of a new Consul, which may do everything, away, readable by its owner only.

    It is given once, so there is a place for it before it is asked for. Raises :class:`StackFault` when it was taken.
    """
    into.mkdir(parents=True, exist_ok=True)
    path = into / FIRST
    if path.exists() and path.stat().st_size:
        raise StackFault(f"The first token lies in {path}.", mend=f"export KIRANA_CONSUL_TOKEN_FILE={path}")
    _write(path, "")
    try:
        _write(path, _bootstrap(keys))
    except StackFault:
        path.unlink()
        raise
    return path


def _bootstrap(keys: Keys) -> str:
    answer = keys.ask("PUT", "/v1/acl/bootstrap")
    if answer.status_code == HTTPStatus.FORBIDDEN:
        raise StackFault("The first token of this Consul was taken before.", mend="export KIRANA_CONSUL_TOKEN_FILE=…")
    return str(_read(answer)["SecretID"])


def grant(keys: Keys, into: Path) -> list[Granted]:
    """Bring all policies up to date, and leave a token for each in ``into``, readable by its owner only.

    A token that is there already and known to Consul stays; delete its file and run this again to replace it.
    """
    into.mkdir(parents=True, exist_ok=True)
    paths = {name: into / file_of(name) for name in names()}
    alive = {name for name, path in paths.items() if path.exists() and _is_known(keys, path.read_text("utf-8").strip())}
    return [Granted(name, path, is_new=_grant(keys, name, path, alive)) for name, path in paths.items()]


def _grant(keys: Keys, name: str, path: Path, alive: set[str]) -> bool:
    """Whether a new token was given. Only where others lie that are in use is a missing one known to be lost."""
    policy = policy_of(name)
    rules = {"Name": policy, "Rules": (POLICIES / f"{name}.hcl").read_text(encoding="utf-8")}
    listed = {one["Name"]: one["ID"] for one in _read(keys.ask("GET", "/v1/acl/policies"))}
    where = f"/v1/acl/policy/{listed[policy]}" if policy in listed else "/v1/acl/policy"
    _read(keys.ask("PUT", where, json=rules))
    if name in alive:
        return False
    if alive:
        _withdraw(keys, policy)
    asked = {"Description": policy, "Policies": [{"Name": policy}]}
    token = _read(keys.ask("PUT", "/v1/acl/token", json=asked))
    _write(path, str(token["SecretID"]))
    return True


def _withdraw(keys: Keys, policy: str) -> None:
    """The token that was given before, if any: its file is gone, so nobody can want it still."""
    for one in _read(keys.ask("GET", "/v1/acl/tokens")):
        if one["Description"] == policy:
            _read(keys.ask("DELETE", f"/v1/acl/token/{one['AccessorID']}"))


def _is_known(keys: Keys, token: str) -> bool:
    return keys.ask("GET", "/v1/acl/token/self", headers={"X-Consul-Token": token}).is_success


def _write(path: Path, token: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)  # it may have been there, readable by others
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{token}\n")


def _read(answer: Any) -> Any:
    if not answer.is_success:
        raise StackFault(
            f"Consul says: {answer.text.strip()[:300]}",
            mend="export KIRANA_CONSUL_TOKEN_FILE=… with a token that may administer access",
        )
    return answer.json()
