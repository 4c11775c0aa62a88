import os
import time

from kirana.stack.consul_binary import (
    LEFT_BEHIND_SECONDS,
    Source,
    cache,
    clear_leftovers,
    codename,
    configured_sources,
    debian_mirrors,
    present,
)

DEB822 = """\
Types: deb
# a comment inside a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://lines.example/debian/ bookworm main contrib # end
deb https://vendor.example/apt stable main
deb-src https://lines.example/debian bookworm main
deb broken
"""


def apt_folder(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "old.list.save").write_text("deb http://saved.example/debian bookworm main\n")
    return tmp_path


def test_both_formats_of_package_sources_are_read(tmp_path):
    sources = configured_sources(apt_folder(tmp_path))

    assert sources == [
        Source("https://lines.example/debian", ("bookworm",), ("main", "contrib")),
        Source("https://vendor.example/apt", ("stable",), ("main",)),
        Source("http://mirror.example/debian", ("bookworm", "bookworm-updates"), ("main",)),
        Source("http://mirror.example/debian-security", ("bookworm-security",), ("main",)),
    ]


def test_only_sources_of_the_release_itself_count_as_debian_mirrors(tmp_path):
    mirrors = debian_mirrors(configured_sources(apt_folder(tmp_path)), "bookworm")

    assert mirrors == ["https://lines.example/debian", "http://mirror.example/debian"]


def test_another_distribution_has_no_debian_mirror(tmp_path):
    release = tmp_path / "os-release"
    release.write_text('ID=ubuntu\nVERSION_CODENAME="noble"\n')

    assert codename(release) == ""
    assert debian_mirrors([Source("http://x.example", ("noble",), ("main",))], codename(release)) == []


def test_the_release_is_known_from_its_own_file(tmp_path):
    release = tmp_path / "os-release"
    release.write_text('PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\nVERSION_CODENAME=bookworm\n')

    assert codename(release) == "bookworm"
    assert codename(tmp_path / "absent") == ""


def test_what_one_stack_has_unpacked_all_stacks_of_the_user_find(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert present(tmp_path / "home") is None

    for place in (tmp_path / "home", tmp_path / "cache" / "kirana"):
        binary = place / "packages" / "consul" / "usr" / "bin" / "consul"
        binary.parent.mkdir(parents=True)
        binary.touch(0o755)
        assert present(tmp_path / "home") == binary


def test_a_place_that_is_no_absolute_path_is_nobodys(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert cache() == tmp_path / ".cache" / "kirana"


def test_what_a_killed_unpacking_has_left_is_cleared_away_but_not_one_that_is_under_way_nor_the_agent(tmp_path):
    for name in ("consul", "consul-killed", "consul-busy"):
        (tmp_path / name / "downloads").mkdir(parents=True)
    long_ago = time.time() - LEFT_BEHIND_SECONDS - 1
    for name in ("consul", "consul-killed"):
        os.utime(tmp_path / name, (long_ago, long_ago))

    clear_leftovers(tmp_path)

    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["consul", "consul-busy"]
