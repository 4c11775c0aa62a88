import shutil

import pytest

from kirana.backup.restoring import Occupied, refuse_unfinished
from kirana.cli import build_app
from kirana.commands import backup
from kirana.stack.faults import StackFault
from kirana.stack.home import Home


def test_what_a_killed_restore_left_is_no_shop_and_nothing_is_begun_in_it(tmp_path, monkeypatch):
    home = Home(tmp_path / "home")
    home.root.mkdir()
    refuse_unfinished(home)
    home.unfinished.touch()
    monkeypatch.setenv("KIRANA_HOME", str(home.root))

    for words in (["up"], ["restore", str(tmp_path)]):
        with pytest.raises(Occupied, match="was interrupted"):
            build_app()(words, standalone_mode=False)

    assert [path.name for path in home.root.iterdir()] == ["restoring"]


@pytest.mark.parametrize("fault", [PermissionError("not yours"), shutil.Error("full")], ids=["rights", "room"])
def test_a_folder_that_cannot_be_written_is_said_without_a_stack_trace(fault):
    with pytest.raises(StackFault, match=str(fault)), backup._told_plainly("The back-up could not be written"):
        raise fault
