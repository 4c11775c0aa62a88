"""No version is used, allowed or tried of which an advisory says that it is unsafe."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
REASONED = re.compile(r"^(\S+)\s+# (?:CVE-\d{4}-\d{4,}\b.*)$")
LINES = [line for line in (ROOT / "requirements" / "floors.txt").read_text().splitlines() if not line.startswith("#")]
DIRECT = {
    canonicalize_name(need.name): need
    for need in map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
}


def floors():
    for line in LINES:
        found = REASONED.match(line)
        assert found, f"{line}: a floor and its advisory are expected"
        need = Requirement(found[1])
        (floor,) = need.specifier
        assert floor.operator == ">="
        yield canonicalize_name(need.name), Version(floor.version)


FLOORS = dict(floors())


def chosen(name):
    text = (ROOT / "requirements" / name).read_text()
    return {
        canonicalize_name(package): Version(version)
        for package, version in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\\n]+)", text, re.MULTILINE)
    }


def lowest_of(need):
    (floor,) = (each.version for each in need.specifier if each.operator in {">=", "=="})
    return Version(floor)


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_the_images_hold_no_version_that_is_known_to_be_unsafe(name):
    """If not: make lock."""
    assert chosen("image.txt")[name] >= FLOORS[name]


def test_neither_what_is_allowed_nor_what_is_tried_is_below_what_is_safe():
    """If not: raise the floor in pyproject.toml, then make lock."""
    allowed = {name: lowest_of(need) for name, need in DIRECT.items()}

    assert not {
        (name, found[name])
        for name, floor in FLOORS.items()
        for found in (allowed, chosen("lowest.txt"))
        if found.get(name, floor) < floor
    }


def test_the_floors_are_in_order_and_each_is_there_once():
    names = [re.match(r"[\w-]+", line)[0] for line in LINES]

    assert names == sorted(set(names))
