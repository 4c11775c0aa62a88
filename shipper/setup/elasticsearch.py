"""What Elasticsearch has to know before the first line comes: lifecycle, fields, storage, streams, and who may write.

Each thing carries the digest of its file, so that a second run sees what is right already and touches nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from shipper.setup.outcomes import Done, Outcome
from shipper.setup.server import Server
from shipper.setup.settings import SetupSettings

STREAMS = "logs-kirana.*-*"
SHIPPER = "kirana_shipper"
KIBANA = "kibana_system"
DIGEST = "kirana_digest"


@dataclass(frozen=True)
class Thing:
    """One object of Elasticsearch: where it lies, what its file is, where its digest stands, how it is found again."""

    name: str
    path: str
    file: str
    found: Callable[[Any], Any]
    mark: tuple[str, ...] = ("_meta",)
    of_streams: bool = False

    def digest_in(self, answer: Any) -> str | None:
        """The digest of what is there; ``None`` when nothing is."""
        at = self.found(answer) if answer else None
        for key in (*self.mark, DIGEST):
            at = at.get(key) if isinstance(at, dict) else None
        return at if isinstance(at, str) else None


THINGS = (
    Thing(
        "lifecycle kirana-logs",
        "/_ilm/policy/kirana-logs",
        "lifecycle.json",
        lambda answer: answer["kirana-logs"]["policy"],
    ),
    *(
        Thing(
            f"component template {name}",
            f"/_component_template/{name}",
            file,
            lambda answer: answer["component_templates"][0]["component_template"],
            of_streams=True,
        )
        for name, file in (("kirana-log-fields", "fields.json"), ("kirana-log-storage", "storage.json"))
    ),
    Thing(
        "index template logs-kirana",
        "/_index_template/logs-kirana",
        "stream.json",
        lambda answer: answer["index_templates"][0]["index_template"],
        of_streams=True,
    ),
)
ROLE = Thing(
    f"role {SHIPPER}",
    f"/_security/role/{SHIPPER}",
    "shipper-role.json",
    lambda answer: answer[SHIPPER],
    mark=("metadata",),
)


def make_ready(server: Server, settings: SetupSettings) -> Iterator[Outcome]:
    """Do what is missing, and tell each thing as it is done. Raises :class:`shipper.setup.faults.SetupFault`."""
    server.wait("/_cluster/health", _is_usable, patience=settings.patience_seconds)
    folder, stale = settings.folder / "elasticsearch", False
    for thing in THINGS:
        outcome = _put(server, thing, folder)
        stale = stale or (thing.of_streams and outcome.done is Done.CHANGED)
        yield outcome
    if stale:
        yield from _turn_over(server)
    if settings.admin_password:
        yield _put(server, ROLE, folder)
        yield from _users(server, settings)


def body_of(thing: Thing, folder: Path) -> tuple[dict[str, Any], str]:
    """What is to be put, with the digest of the file in its place, and the digest."""
    text = (folder / thing.file).read_bytes()
    body: dict[str, Any] = orjson.loads(text)
    digest = hashlib.sha256(text).hexdigest()[:16]
    at = body.get("policy", body)
    for key in thing.mark:
        at = at.setdefault(key, {})
    at[DIGEST] = digest
    return body, digest


def _put(server: Server, thing: Thing, folder: Path) -> Outcome:
    body, digest = body_of(thing, folder)
    there = server.ask("GET", thing.path)
    if thing.digest_in(there) == digest:
        return Outcome(thing.name, Done.NOTHING)
    server.ask("PUT", thing.path, body)
    return Outcome(thing.name, Done.CHANGED if there else Done.MADE)


def _turn_over(server: Server) -> Iterator[Outcome]:
    """An index keeps the fields that it was made with: have each stream begin another one with its next line."""
    found = server.ask("GET", f"/_data_stream/{STREAMS}") or {}
    for stream in found.get("data_streams", []):
        server.ask("POST", f"/{stream['name']}/_rollover?lazy=true")
        yield Outcome(f"data stream {stream['name']}", Done.CHANGED)


def _users(server: Server, settings: SetupSettings) -> Iterator[Outcome]:
    if settings.shipper_password:
        known = server.knows((SHIPPER, settings.shipper_password))
        is_right = known is not None and known.get("roles") == [SHIPPER]
        if not is_right:
            user = {"password": settings.shipper_password, "roles": [SHIPPER], "full_name": "Brings Kirana's log lines"}
            server.ask("PUT", f"/_security/user/{SHIPPER}", user)
        yield Outcome(f"user {SHIPPER}", Done.NOTHING if is_right else Done.CHANGED)
    if settings.kibana_password:
        is_right = server.knows((KIBANA, settings.kibana_password)) is not None
        if not is_right:
            server.ask("POST", f"/_security/user/{KIBANA}/_password", {"password": settings.kibana_password})
        yield Outcome(f"password of {KIBANA}", Done.NOTHING if is_right else Done.CHANGED)


def _is_usable(health: Any) -> bool:
    return isinstance(health, dict) and health.get("status") in {"yellow", "green"}
