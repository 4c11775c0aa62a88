"""Reads and writes Consul's keys: several at once or none, and never over what somebody else has written meanwhile."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx

from kirana.stack.faults import NotRunning, StackFault
from kirana.stack.presence import load_running
from shared.settings.reader import Reader

ANSWER_SECONDS = 15.0
MOST_AT_ONCE = 64
"""Operations in one transaction: Consul's own bound."""


@dataclass(frozen=True)
class Entry:
    """A key with its value. ``index`` names this state of it."""

    key: str
    value: bytes
    index: int


@dataclass(frozen=True)
class Write:
    """One step of a transaction. ``index``: only over this state of the key; 0: only if there is no such key."""

    key: str
    value: bytes | None
    index: int

    def as_json(self) -> dict[str, Any]:
        """As Consul's transactions take it. Without a value the key is deleted."""
        step: dict[str, Any] = {"Verb": "delete-cas" if self.value is None else "cas", "Key": self.key}
        if self.value is not None:
            step["Value"] = b64encode(self.value).decode()
        return {"KV": step | {"Index": self.index}}


class Keys:
    """A context manager. Whatever goes wrong is a :class:`StackFault` that says what to do."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"X-Consul-Token": token} if token else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)
        self._url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def use(self, token: str) -> None:
        """Show this token from now on."""
        self._client.headers["X-Consul-Token"] = token

    def get(self, key: str) -> Entry | None:
        """The key as a quorum of servers has it."""
        found = self.below(key, only=True)
        return found[0] if found else None

    def below(self, prefix: str, *, only: bool = False) -> list[Entry]:
        """Every key that begins so, in order; ``only`` the one of that name."""
        answer = self.ask("GET", f"/v1/kv/{prefix}", params={"consistent": ""} | ({} if only else {"recurse": ""}))
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return []
        return [
            Entry(one["Key"], b64decode(one["Value"] or ""), one["ModifyIndex"]) for one in self._read(answer).json()
        ]

    def write(self, steps: Sequence[Write]) -> bool:
        """All of them or none; ``False`` when a key is not as it was seen."""
        answer = self.ask("PUT", "/v1/txn", json=[step.as_json() for step in steps])
        if answer.status_code == HTTPStatus.CONFLICT and "permission" not in answer.text.lower():
            return False
        self._read(answer)
        return True

    def checks(self, service: str) -> list[dict[str, Any]]:
        """Every check of every instance of this service."""
        found: list[dict[str, Any]] = self._read(self.ask("GET", f"/v1/health/checks/{service}")).json()
        return found

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any other question. Raises :class:`NotRunning` when nobody answers."""
        try:
            return self._client.request(method, path, **options)
        except httpx.HTTPError as fault:
            raise NotRunning(f"Consul at {self._url} cannot be reached: {fault}", mend="kirana status") from None

    def _read(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        said = answer.text.strip()[:300] or f"HTTP status {answer.status_code}"
        if answer.status_code == HTTPStatus.FORBIDDEN or "permission denied" in said.lower():
            raise StackFault(
                f"Consul does not allow this: {said}",
                mend="export KIRANA_CONSUL_TOKEN_FILE=… with an operator's token",
                cause="The token is missing, or not an operator's.",
            )
        raise StackFault(f"Consul says: {said}")


def connect(url: str | None, environment: Mapping[str, str] = os.environ) -> Keys:
    """To ``url``, else ``KIRANA_CONSUL_URL``, else the local stack's. Raises :class:`StackFault`."""
    reader = Reader(environment)
    token, named = reader.read("CONSUL_TOKEN", str, ""), url or reader.read("CONSUL_URL", str, "")
    reader.finish()
    if named:
        return Keys(named, token)
    consul = load_running().consul
    if not consul:
        raise StackFault("The local stack has no Consul.", mend="kirana doctor")
    return Keys(consul, token)
