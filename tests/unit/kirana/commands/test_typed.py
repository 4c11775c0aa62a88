import sys

import pytest

from kirana.commands.typed import as_typed


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A virtual environment of its own whose ``kirana`` no terminal finds."""
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name in ("kirana", "python3"):
        (binaries / name).write_text("#!/bin/sh\n")
        (binaries / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(binaries / "python3"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_command_is_named_as_this_terminal_finds_it(checkout):
    assert as_typed("kirana down && kirana up") == ".venv/bin/kirana down && .venv/bin/kirana up"


def test_from_another_folder_the_whole_path_is_named(checkout, monkeypatch):
    monkeypatch.chdir("/")
    (checkout / "elsewhere").mkdir()
    monkeypatch.chdir(checkout / "elsewhere")

    assert as_typed("kirana up") == f"{checkout}/.venv/bin/kirana up"


def test_in_an_activated_environment_the_name_is_enough(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout / ".venv" / "bin"))

    assert as_typed("kirana up") == "kirana up"


@pytest.mark.parametrize("text", ["/srv/kirana up there", "rm -r /tmp/kirana-0-aa", "postgresql://h/kirana_order"])
def test_what_is_no_command_of_ours_stays(checkout, text):
    assert as_typed(text) == text
