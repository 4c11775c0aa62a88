"""The last version's code is replaced by a release as a whole, or not at all, and one knows which commit it is of."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASES = Path("tests", "releases")
KEPT = ("edge", "rpc_services", "shared")
SOMEBODY = {f"GIT_{role}_{what}": "asha@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture
def checkout(tmp_path):
    """A repository of one commit, with an archive from before."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for package in (*KEPT, "kirana"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f'"""{package}"""\n')
    (tmp_path / RELEASES).mkdir(parents=True)
    (tmp_path / RELEASES / "last.tar.xz").write_text("the one before")
    (tmp_path / RELEASES / "last.commit").write_text("its commit\n")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "All"]):
        git(tmp_path, *command)
    return tmp_path


def git(checkout, *arguments):
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *arguments], cwd=checkout, env=os.environ | SOMEBODY | alone, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def archived(checkout):
    return subprocess.run(["make", "release-archive"], cwd=checkout, capture_output=True, text=True, check=False)


def files(checkout):
    return {path.name: path.read_bytes() for path in (checkout / RELEASES).iterdir()}


def test_without_a_tag_it_fails_and_the_archive_stays_as_it_was(checkout):
    before = files(checkout)

    done = archived(checkout)

    assert done.returncode != 0
    assert "No release is tagged here" in done.stderr
    assert files(checkout) == before


def test_an_archive_that_cannot_be_made_whole_leaves_the_one_before(checkout):
    git(checkout, "rm", "-r", "--quiet", "shared")
    git(checkout, "commit", "--quiet", "--message", "Lose a package")
    git(checkout, "tag", "v1")
    before = files(checkout)

    done = archived(checkout)

    assert done.returncode != 0
    assert files(checkout) == before


def test_the_newest_tag_is_kept_with_its_commit(checkout):
    git(checkout, "tag", "--annotate", "v1", "--message", "One")
    tagged = git(checkout, "rev-parse", "HEAD")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "Later")

    done = archived(checkout)

    assert done.returncode == 0, done.stderr
    assert set(files(checkout)) == {"last.tar.xz", "last.commit"}
    assert told(checkout) == (tagged, tagged)
    with tarfile.open(checkout / RELEASES / "last.tar.xz") as archive:
        assert {Path(name).parts[0] for name in archive.getnames()} == set(KEPT)


def test_the_commit_beside_our_own_archive_is_the_one_that_it_is_of():
    said, own = told(ROOT)

    assert said == own


def told(checkout):
    """The commit that stands beside the archive, and the one that git wrote into it."""
    with tarfile.open(checkout / RELEASES / "last.tar.xz") as archive:
        own = archive.pax_headers["comment"]
    return (checkout / RELEASES / "last.commit").read_text().strip(), own
