import os
import stat
from pathlib import Path

import pytest

from kirana.stack.faults import StackFault
from kirana.stack.home import LONGEST_SOCKET_PATH, Home
from kirana.stack.passwords import NAMES, passwords


def test_a_socket_is_reached_by_a_short_way_when_the_home_is_deep(tmp_path):
    home = Home(tmp_path / ("x" * 120))
    home.make()

    assert len(os.fsencode(home.socket)) <= LONGEST_SOCKET_PATH
    assert home.socket.parent.resolve() == home.run

    home.unlink_run()
    assert not home.short_run.is_symlink()


def test_a_short_home_needs_no_other_way():
    home = Home(Path("/srv/kirana"))

    assert home.socket == Path("/srv/kirana/run/supervisor.sock")


def test_a_strangers_folder_in_the_short_way_is_refused(tmp_path):
    home = Home(tmp_path / ("y" * 120))
    home.short_run.mkdir()
    try:
        with pytest.raises(StackFault, match="in the way"):
            home.make()
    finally:
        home.short_run.rmdir()


def test_what_is_written_is_for_its_owner_only(tmp_path):
    home = Home(tmp_path / "home")
    home.make()

    path = home.write("server.conf", "password")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_process_starts_with_nothing_of_the_callers_environment(tmp_path, monkeypatch):
    before = Home(tmp_path).environment()
    monkeypatch.setenv("KIRANA_DATABASE_URL", "postgresql://somewhere/else")
    monkeypatch.setenv("PATH", "/elsewhere")

    environment = Home(tmp_path).environment()

    assert environment == before
    assert "KIRANA_DATABASE_URL" not in environment
    assert environment["PYTHONSAFEPATH"] == "1"


def test_passwords_are_drawn_once_and_kept_private(tmp_path):
    first = passwords(tmp_path)

    assert passwords(tmp_path) == first
    assert set(first) == set(NAMES)
    assert len(set(first.values())) == len(NAMES)
    assert stat.S_IMODE((tmp_path / "passwords.json").stat().st_mode) == 0o600


def test_a_password_that_a_new_version_needs_is_added_to_the_old_ones(tmp_path):
    (tmp_path / "passwords.json").write_text('{"admin": "kept"}')

    known = passwords(tmp_path)

    assert known["admin"] == "kept"
    assert set(known) == set(NAMES)
