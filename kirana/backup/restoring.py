"""Brings a shop up from a back-up, in a home where there was none."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import httpx
import orjson

from kirana.backup import cluster, manifest
from kirana.backup.manifest import Manifest
from kirana.backup.taking import ANSWER_SECONDS, CARTS, MAILS, SECRETS, SETTINGS
from kirana.stack import postgres
from kirana.stack.bring_up import bring_up
from kirana.stack.faults import StackFault
from kirana.stack.home import Home
from kirana.stack.programs import Wishes
from kirana.stack.state import StackState
from kirana.stack.steps import Steps


class Occupied(StackFault):
    """There is a shop already."""

    exit_code = 9


def restore(source: Path, home: Home, steps: Steps) -> tuple[Manifest, StackState, int]:
    """Check the back-up, lay out the home, start the shop; gives also how many events it tells again.

    Nothing is touched unless the back-up is whole and the home is free. Raises :class:`StackFault`.
    """
    refuse_unfinished(home)
    if home.root.exists() and any(path.name != "packages" for path in home.root.iterdir()):
        raise Occupied(f"There is a shop in {home.root}.", mend="KIRANA_HOME=/another/folder kirana restore ...")
    with steps.step("The back-up is whole"):
        found = manifest.read(source)
        cluster.check(source / manifest.CLUSTER, found.postgres)
    with steps.step("Databases, carts, mails and secrets"):
        _lay_out(source, home)
    servers = bring_up(home, Wishes(seed=False), steps, servers_only=True)
    with steps.step("Settings, and events to tell again"):
        _restore_settings(source / SETTINGS, servers)
        told = cluster.tell_again(servers)
    home.unfinished.unlink()
    return found, bring_up(home, Wishes(seed=False), steps), told


def refuse_unfinished(home: Home) -> None:
    """Raise :class:`Occupied` where a restore ended half-way: its databases may be missing, its events untold."""
    if home.unfinished.exists():
        raise Occupied(
            f"A restore into {home.root} was interrupted.", mend="kirana reset --yes, then restore once more"
        )


def _lay_out(source: Path, home: Home) -> None:
    home.make()
    home.unfinished.touch()
    draft = home.root / "postgres.draft"
    shutil.copytree(source / manifest.CLUSTER, draft)
    postgres.give_to_server(draft)
    secrets = home.root / SECRETS
    secrets.touch(mode=0o600)
    secrets.write_bytes((source / SECRETS).read_bytes())
    for name in (CARTS, MAILS):
        shutil.copytree(source / name, home.root / name, dirs_exist_ok=True)
    draft.replace(postgres.data_folder(home))


def _restore_settings(file: Path, stack: StackState) -> None:
    for entry in orjson.loads(file.read_bytes()):
        if stack.consul is None:
            raise StackFault("The back-up has settings, and there is no Consul to take them.", mend="kirana doctor")
        value = base64.b64decode(entry["value"] or "")
        try:
            put = httpx.put(f"{stack.consul}/v1/kv/{entry['key']}", content=value, timeout=ANSWER_SECONDS)
            put.raise_for_status()
        except httpx.HTTPError as fault:
            raise StackFault("Consul did not take a setting.", cause=str(fault), mend="kirana status") from None
