"""Gives every process kind a policy and a token of its own in a Consul that has access control; again and again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from kirana.configuration.keys import Keys
from kirana.configuration.tokens import FIRST, POLICIES, file_of, names, policy_of
from kirana.stack.faults import StackFault


@dataclass(frozen=True)
class Granted:
    """A process kind, where its token lies, and whether it is a new one."""

    name: str
    path: Path
    is_new: bool


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


def grant(keys: Keys, into: Path, policies: Path = POLICIES) -> list[Granted]:
    """Bring all policies up to date, and leave a token for each in ``into``, readable by its owner only.

    A token that lies there already stays. One that Consul does not know is made known to it: it was drawn beforehand,
    or the Consul that knew it is lost. Delete its file and run this again to replace it. Raises :class:`StackFault`,
    before anything is changed, when a file holds no token.
    """
    wanted = names(policies)
    if not wanted:
        raise StackFault(f"No policy is in {policies}.", mend="kirana config access --help")
    into.mkdir(parents=True, exist_ok=True)
    there = {name: path for name in wanted if (path := into / file_of(name)).exists()}
    drawn = {name: _token_in(path) for name, path in there.items()}
    alive = {name for name, token in drawn.items() if token and _is_known(keys, token)}
    granted = []
    for name in wanted:
        _allow(keys, name, policies)
        path = into / file_of(name)
        if name not in alive:
            token = _give(keys, name, drawn.get(name, ""), replaces=bool(alive))
            if token != drawn.get(name):
                _write(path, token)
        granted.append(Granted(name, path, is_new=name not in alive))
    return granted


def _token_in(path: Path) -> str:
    text = path.read_text(encoding="utf-8").strip()
    try:
        return str(UUID(text)) if text else ""
    except ValueError:
        raise StackFault(f"{path} holds no token of Consul's, which is a UUID.", mend=f"rm {path}") from None


def _allow(keys: Keys, name: str, policies: Path) -> None:
    policy = policy_of(name)
    rules = {"Name": policy, "Rules": (policies / f"{name}.hcl").read_text(encoding="utf-8")}
    listed = {one["Name"]: one["ID"] for one in _read(keys.ask("GET", "/v1/acl/policies"))}
    where = f"/v1/acl/policy/{listed[policy]}" if policy in listed else "/v1/acl/policy"
    _read(keys.ask("PUT", where, json=rules))


def _give(keys: Keys, name: str, drawn: str, *, replaces: bool) -> str:
    """A new token, or the one that was ``drawn``; only beside others in use are those of before known to be lost."""
    policy = policy_of(name)
    if replaces:
        _withdraw(keys, policy)
    asked = {"Description": policy, "Policies": [{"Name": policy}]} | ({"SecretID": drawn} if drawn else {})
    return str(_read(keys.ask("PUT", "/v1/acl/token", json=asked))["SecretID"])


def _withdraw(keys: Keys, policy: str) -> None:
    """The token that was given before, if any: its file is gone or holds another, so nobody can want it still."""
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
