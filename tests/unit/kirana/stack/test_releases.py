import zipfile

import pytest

from kirana.stack import releases
from kirana.stack.faults import StackFault
from kirana.stack.home import Home


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.root.mkdir()
    return home


def a_source(folder, text="VERSION = 1\n"):
    for package in releases.PACKAGES:
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(text)
    return folder


def test_a_folder_and_a_wheel_of_the_same_code_are_one_release(tmp_path, home):
    source = a_source(tmp_path / "source")
    with zipfile.ZipFile(tmp_path / "some.whl", "w") as wheel:
        for path in source.rglob("*.py"):
            wheel.write(path, path.relative_to(source))

    release = releases.take_in(source, home)

    assert releases.take_in(tmp_path / "some.whl", home) == release
    assert (release.folder / "edge" / "__init__.py").read_text() == "VERSION = 1\n"


def test_other_code_is_another_release_and_leaves_the_first_as_it_is(tmp_path, home):
    first = releases.take_in(a_source(tmp_path / "one"), home)
    second = releases.take_in(a_source(tmp_path / "two", "VERSION = 2\n"), home)

    assert first.name != second.name
    assert (first.folder / "shared" / "__init__.py").read_text() == "VERSION = 1\n"


def test_what_is_no_source_is_refused_by_what_it_lacks(tmp_path, home):
    (tmp_path / "text").write_text("no wheel")

    with pytest.raises(StackFault, match="holds no edge"):
        releases.take_in(tmp_path, home)
    with pytest.raises(StackFault, match="neither a folder nor a wheel"):
        releases.take_in(tmp_path / "text", home)


def test_a_pinned_part_starts_from_its_release_until_it_is_unpinned(tmp_path, home):
    release = releases.take_in(a_source(tmp_path / "one"), home)

    releases.pin(home, "edge", release)

    assert releases.environment(home.root, "edge") == {"PYTHONPATH": str(release.folder), "KIRANA_BUILD": release.name}
    assert releases.environment(home.root, "catalog") == {}
    releases.pin(home, "edge", None)
    assert releases.environment(home.root, "edge") == {}


def test_old_releases_go_but_never_a_pinned_one(tmp_path, home):
    pinned = releases.take_in(a_source(tmp_path / "pinned", "PINNED = 1\n"), home)
    releases.pin(home, "catalog", pinned)
    for number in range(releases.MOST_KEPT + 2):
        releases.take_in(a_source(tmp_path / str(number), f"VERSION = {number}\n"), home)

    releases.pin(home, "edge", None)

    left = list((home.root / "releases").iterdir())
    assert pinned.folder in left
    assert len(left) <= releases.MOST_KEPT + 1
