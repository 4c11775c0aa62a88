"""What the images hold: chosen once, known by hash, allowed by licence, and never older than what is safe."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LOCK = (ROOT / "requirements" / "image.txt").read_text()
LOWEST = (ROOT / "requirements" / "lowest.txt").read_text()
DIRECT = [Requirement(text) for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]]


def chosen(text):
    """Versions by package, as a file of pip has them."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\\n]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def licences(lock):
    script = ROOT / "requirements" / "licences.py"
    place = lock.parent / script.name
    if place != script:
        place.write_text(script.read_text())
    return subprocess.run(
        [sys.executable, place],
        env=os.environ | {"PYTHONPATH": str(place.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("need", DIRECT, ids=lambda need: need.name)
def test_what_is_needed_is_locked_as_pyproject_allows_it(need):
    """If not: make lock."""
    for text in (LOCK, LOWEST):
        version = chosen(text).get(canonicalize_name(need.name))
        assert version is not None, f"{need.name} is not locked. Next: make lock"
        assert need.specifier.contains(version, prereleases=True), f"{need} is {version}. Next: make lock"


@pytest.mark.parametrize("need", DIRECT, ids=lambda need: need.name)
def test_each_need_says_from_which_version_on_it_is_met_and_lowest_txt_holds_that_one(need):
    floors = [each.version for each in need.specifier if each.operator in {">=", "=="}]

    assert len(floors) == 1, need
    lowest = chosen(LOWEST)[canonicalize_name(need.name)]
    assert lowest == floors[0] or lowest.startswith(f"{floors[0]}."), f"{need} is {lowest}. Next: make lock"


def test_every_locked_file_is_known_by_its_hash():
    entries = [entry for entry in re.split(r"\n(?=[A-Za-z0-9])", LOCK) if "==" in entry]

    assert len(entries) == len(chosen(LOCK)) > len(DIRECT)
    assert not [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)]


def test_a_lock_names_no_place_to_fetch_from():
    for text in (LOCK, LOWEST):
        assert "://" not in text
        assert not re.search(r"^ *-(-index|-extra|-find|i |f )", text, re.MULTILINE)


def test_both_images_install_by_hash_and_nothing_else():
    for name in ("edge", "service"):
        text = (ROOT / "docker" / f"{name}.Dockerfile").read_text()
        installs = re.findall(r"pip install ([^&\n]*)", text)
        assert len(installs) == 2
        assert "--require-hashes -r requirements/image.txt" in installs[0]
        assert {"--no-deps", "--no-build-isolation"} <= set(installs[1].split())


def test_what_builds_the_wheel_in_the_images_is_locked_too():
    need = Requirement(tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"][0])

    assert need.specifier.contains(chosen(LOCK)[need.name])


def test_the_list_of_licences_is_that_of_the_lock():
    """If not: make licences."""
    done = licences(ROOT / "requirements" / "image.txt")

    assert done.returncode == 0, done.stderr
    assert (ROOT / "docs" / "licences.md").read_text() == done.stdout, "Next: make licences"


@pytest.mark.parametrize(
    ("package", "told"),
    [("not-on-this-machine", "not installed here"), ("gpl-bound", "AGPL-3.0-only")],
    ids=["unknown", "binding"],
)
def test_a_licence_that_is_unknown_or_binds_the_shops_own_code_is_refused(tmp_path, package, told):
    site = tmp_path / "gpl_bound-1.0.dist-info"
    site.mkdir()
    site.joinpath("METADATA").write_text("Metadata-Version: 2.4\nName: gpl-bound\nLicense-Expression: AGPL-3.0-only\n")
    (tmp_path / "image.txt").write_text(f"{package}==1.0 \\\n    --hash=sha256:{'0' * 64}\n")

    done = licences(tmp_path / "image.txt")

    assert done.returncode == 1
    assert package in done.stderr
    assert told in done.stderr
    assert not done.stdout


def test_the_bill_of_materials_names_every_locked_package_with_its_hashes(tmp_path):
    recipe = re.search(r"^\t\$\(BIN\)/(cyclonedx-py .*)\\\n\t\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    words = f"{recipe[1]}{recipe[2]}".split()
    words[words.index("dist/sbom.json")] = str(tmp_path / "sbom.json")

    done = subprocess.run([BIN / words[0], *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "sbom.json").read_text())
    assert told["bomFormat"] == "CycloneDX"
    assert {canonicalize_name(each["name"]): each["version"] for each in told["components"]} == chosen(LOCK)
    assert all(reference["hashes"] for each in told["components"] for reference in each["externalReferences"])
