"""The wheel that the images install holds everything the processes read beside their own code."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "rpc_services", "shared", "kirana", "shipper")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The names in a wheel that was built, like the images', from a copy without earlier builds."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", place, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


def test_the_wheel_holds_every_file_of_every_package(packed):
    """Modules, migrations, Lua scripts, mail templates, the route table, pages, the list of common passwords."""
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert there - packed == set()


def test_the_wheel_holds_nothing_else(packed):
    assert {name.partition("/")[0] for name in packed if ".dist-info/" not in name} == set(PACKAGES)
