"""Takes instances out and lets them in again: the wish is a key in Consul, and the instance's own check tells of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from kirana.configuration.keys import Keys, Write
from kirana.stack.faults import StackFault
from shared.contracts.maintenance import PREFIX, Maintenance, key_of, read_maintenance

if TYPE_CHECKING:
    from kirana.configuration.history import Author

SERVICES = ("edge", "identity", "catalog", "cart", "order", "notification")
OUT = "maintenance"
"""What the note of an instance's check names while it is out."""

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Present:
    """A process that Consul lists. ``id`` is Consul's name for it; an edge has one for each worker."""

    service: str
    instance: str
    id: str
    status: str
    note: str

    @property
    def is_out(self) -> bool:
        """Whether it says that it takes nothing."""
        return self.status == "critical" and OUT in self.note

    @property
    def is_idle(self) -> bool:
        """Whether it is out and has finished what it had begun; an edge's connections end with their next answers."""
        return self.is_out and (self.service == "edge" or self.note.endswith(" 0 under way"))


class NobodyElse(StackFault):
    """Without this instance its service could serve nobody."""

    exit_code = 11


def present(keys: Keys) -> list[Present]:
    """Every process of ours in the catalogue, by service and id."""
    return [_present(service, check) for service in SERVICES for check in keys.checks(service)]


def _present(service: str, check: dict[str, Any]) -> Present:
    own = str(check["ServiceID"])
    instance = own.rpartition("-")[0] if service == "edge" else own.removeprefix(f"{service}-")
    return Present(service, instance, own, check["Status"], check["Output"])


def wishes(keys: Keys) -> dict[str, Maintenance]:
    """What operators wish, by instance."""
    found = ((entry.key.removeprefix(PREFIX), read_maintenance(entry.value)) for entry in keys.below(PREFIX))
    return {instance: wish for instance, wish in found if wish}


def take_out(keys: Keys, instance: str, author: Author, *, even_the_last: bool = False) -> None:
    """Have it take nothing more. Raises :class:`NobodyElse` for the last of its service, unless told otherwise."""
    listed = present(keys)
    mine = [one for one in listed if one.instance == instance]
    if not mine:
        names = sorted({one.instance for one in listed})
        raise StackFault(f"Consul lists no instance {instance}.", cause=f"There are: {', '.join(names) or 'none'}.")
    service = mine[0].service
    others = [one for one in listed if one.service == service and one.instance != instance]
    if not even_the_last and all(one.status == "critical" for one in others):
        raise NobodyElse(
            f"{instance} is the last of {service} that serves.",
            mend=f"kirana up --scale {service}=2" if service != "edge" else f"kirana maintenance on {instance} --force",
            cause="Without it nobody would be served: start another first, or say --force.",
        )
    wish(keys, instance, author)


def wish(keys: Keys, instance: str, author: Author, *, share: float = 0.0) -> None:
    """Write the wish, whatever was wished before. Raises :class:`StackFault` if others keep writing."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    value = msgspec.json.encode(Maintenance(reason=author.reason, by=author.by, since=since, share=share))
    _over(keys, instance, value)


def let_in(keys: Keys, instance: str) -> bool:
    """Have it take work again; ``False`` when nobody wished otherwise."""
    return _over(keys, instance, None)


def _over(keys: Keys, instance: str, value: bytes | None) -> bool:
    for _ in range(5):
        before = keys.get(key_of(instance))
        if before is None and value is None:
            return False
        if keys.write([Write(key_of(instance), value, before.index if before else 0)]):
            return True
    raise StackFault(f"Others keep changing the maintenance of {instance}.", mend="kirana maintenance list")


def until(keys: Keys, instance: str, come_true: Callable[[Iterable[Present]], bool], *, seconds: float = 30.0) -> bool:
    """Wait until ``come_true`` of all processes of this instance; ``False`` when the time is over."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        mine = [one for one in present(keys) if one.instance == instance]
        if mine and come_true(mine):
            return True
        time.sleep(LOOK_SECONDS)
    return False


def are_idle(found: Iterable[Present]) -> bool:
    """All are out and have finished."""
    return all(one.is_idle for one in found)


def are_in(found: Iterable[Present]) -> bool:
    """None is out any more."""
    return not any(one.is_out or one.status == "critical" for one in found)
