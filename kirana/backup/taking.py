"""Takes a back-up of a running shop, while it sells."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

import httpx
import orjson

from kirana.backup import cluster, manifest
from kirana.backup.manifest import FORMAT, Manifest
from kirana.stack.faults import StackFault
from kirana.stack.postgres import data_folder_of
from kirana.stack.state import StackState
from kirana.stack.steps import Steps
from shared.values.times import now, to_rfc3339

CARTS, MAILS, SECRETS, SETTINGS = "cart", "mail", "passwords.json", "consul.json"
KEYS = "kirana/"
"""What is ours in Consul."""

ANSWER_SECONDS = 15.0
PASSING = "kirana/maintenance/"
"""Who is out of service now says nothing of the shop that is brought up later."""


class Taken(StackFault):
    """There is something where the back-up should go."""

    exit_code = 9


def take(stack: StackState, target: Path, steps: Steps) -> Manifest:
    """Copy everything that cannot be made again into the new folder ``target``. Raises :class:`StackFault`.

    Carts come first and the databases after them: a cart may still hold what was ordered since, and the events, told
    again, take it out; an order whose cart was emptied is never without its order.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Taken(f"{target} is not empty.", mend="choose a folder that does not exist")
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    try:
        made = _fill(stack, draft, steps)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    if target.exists():
        target.rmdir()
    draft.replace(target)
    return made


def _fill(stack: StackState, draft: Path, steps: Steps) -> Manifest:
    with steps.step("Carts"):
        _copy_journals(stack.home / "cart", draft / CARTS)
    with steps.step("Databases"):
        taken_at = now()
        cluster.copy(stack, draft / manifest.CLUSTER)
    with steps.step("Mails, settings and secrets"):
        shutil.copytree(stack.mail, draft / MAILS, ignore=shutil.ignore_patterns(".*"))  # those are being written
        _copy_settings(stack, draft / SETTINGS)
        _copy_secrets(stack.home / SECRETS, draft / SECRETS)
    with steps.step("Checksums"):
        postgres = int((data_folder_of(stack.home) / "PG_VERSION").read_text(encoding="ascii"))
        made = Manifest(FORMAT, version("kirana"), postgres, to_rfc3339(taken_at), manifest.described(draft))
        manifest.write(draft, made)
    return made


def _copy_journals(source: Path, target: Path) -> None:
    """SQLite's own copy of a file that is being written."""
    target.mkdir(mode=0o700)
    for path in sorted(source.glob("*.sqlite")):
        with (
            closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal,
            closing(sqlite3.connect(target / path.name)) as copied,
        ):
            journal.backup(copied)  # at once: a copy in parts begins anew whenever somebody writes in between


def _copy_settings(stack: StackState, target: Path) -> None:
    """Routes and whatever else runs by Consul's keys; nothing, when there is no Consul."""
    entries = []
    if stack.consul:
        try:
            answer = httpx.get(f"{stack.consul}/v1/kv/{KEYS}", params={"recurse": ""}, timeout=ANSWER_SECONDS)
        except httpx.HTTPError as fault:
            raise StackFault("Consul does not answer.", cause=str(fault), mend="kirana status") from None
        entries = _entries(answer)
    target.touch(mode=0o600)
    target.write_bytes(orjson.dumps(entries, option=orjson.OPT_INDENT_2))


def _entries(answer: httpx.Response) -> list[dict[str, str | None]]:
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return []
    if not answer.is_success:
        raise StackFault(f"Consul says: {answer.text.strip()[:300]}", mend="kirana status")
    found = [{"key": str(one["Key"]), "value": one["Value"]} for one in answer.json()]
    return [entry for entry in found if not str(entry["key"]).startswith(PASSING)]


def _copy_secrets(source: Path, target: Path) -> None:
    """The databases know their users by these, and the keys that sign tokens are sealed with one of them."""
    target.touch(mode=0o600)
    target.write_bytes(source.read_bytes())
