"""A Consul without a table is given one, from wherever the command is installed."""

import os
import shutil
import subprocess
import sys

import pytest

from kirana.configuration import history
from kirana.configuration.documents import limits_of, packaged, read_limits
from kirana.stack.state import CHECKOUT

PACKAGES = ("edge", "kirana", "rpc_services", "shared")
OTHER = "browse: {quota: 77, window: 60}\n"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The packages alone, as they lie in an image."""
    place = tmp_path_factory.mktemp("site-packages")
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    return place


def seed(image, guarded, *words, **options):
    told = {
        "KIRANA_CONSUL_URL": guarded.url,
        "KIRANA_CONSUL_TOKEN_FILE": str(guarded.file("operator")),
        "PYTHONPATH": str(image),
        "PYTHONSAFEPATH": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "kirana.cli", "config", "seed", *words],
        env=os.environ | told,
        cwd=image,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_an_image_that_holds_no_checkout_seeds_the_table_that_it_brings_along(image, guarded, keys):
    done = seed(image, guarded)

    assert done.returncode == 0, done.stderr
    assert history.read(keys).text == packaged()
    assert [one.reason for one in history.read(keys).changes] == ["seeded"]


def test_other_limits_are_laid_over_it_from_a_file_or_from_standard_input(image, guarded, keys, tmp_path):
    (tmp_path / "limits.yaml").write_text(OTHER)

    from_file = seed(image, guarded, "--file", str(tmp_path / "limits.yaml"))
    seeded = history.read(keys).text
    again = seed(image, guarded, "--file", "-", input="order: {quota: 1, window: 60}\n")

    assert from_file.returncode == 0, from_file.stderr
    assert read_limits(limits_of(seeded))["browse"]["quota"] == 77
    assert again.returncode == 0, again.stderr
    assert "nothing was changed" in again.stdout
    assert history.read(keys).text == seeded


def test_standard_input_stands_for_a_file(image, guarded, keys):
    done = seed(image, guarded, "--file", "-", input=OTHER)

    assert done.returncode == 0, done.stderr
    assert read_limits(limits_of(history.read(keys).text))["browse"]["quota"] == 77


def test_a_file_that_is_not_there_is_named_and_nothing_is_seeded(image, guarded, keys):
    done = seed(image, guarded, "--file", "/nowhere/limits.yaml")

    assert done.returncode == 1
    assert "/nowhere/limits.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    assert history.read(keys).current is None
