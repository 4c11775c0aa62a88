import os
import time
from pathlib import Path

from shared.logs.holding import FOLDER
from shared.logs.leftovers import KEPT_SECONDS
from shared.logs.spool import Spool


def left(folder, name, *, days):
    path = folder / name
    path.write_bytes(b"line\n")
    then = time.time() - days * 86_400
    os.utime(path, (then, then))
    return path


def started(folder):
    Spool(folder / "order-new-7.jsonl", stdout=None).close()
    return {path.name for path in folder.iterdir()} - {"order-new-7.jsonl"}


def test_what_another_instance_left_more_than_a_week_ago_goes(tmp_path):
    left(tmp_path, "order-old-7.jsonl", days=8)
    left(tmp_path, "order-old-7.1.jsonl", days=9)

    assert KEPT_SECONDS == 7 * 86_400
    assert started(tmp_path) == set()


def test_what_somebody_wrote_to_within_the_week_stays_with_what_that_instance_moved_away_before(tmp_path):
    left(tmp_path, "edge-1.jsonl", days=6)
    left(tmp_path, "edge-1.1.jsonl", days=30)
    left(tmp_path, "edge-2.1.jsonl", days=6)

    assert started(tmp_path) == {"edge-1.jsonl", "edge-1.1.jsonl", "edge-2.1.jsonl"}


def test_its_own_files_stay_however_old(tmp_path):
    own = left(tmp_path, "order-new-7.jsonl", days=30)
    left(tmp_path, "order-new-7.1.jsonl", days=40)

    assert started(tmp_path) == {"order-new-7.1.jsonl"}
    assert own.read_bytes() == b"line\n"


def test_where_a_shipper_keeps_its_places_everything_stays(tmp_path):
    (tmp_path / FOLDER).mkdir()
    left(tmp_path, "order-old-7.jsonl", days=30)

    assert started(tmp_path) == {FOLDER, "order-old-7.jsonl"}


def test_what_is_no_spool_file_stays(tmp_path):
    left(tmp_path, "notes.txt", days=30)

    assert started(tmp_path) == {"notes.txt"}


def test_a_writer_that_came_back_to_an_old_file_keeps_it_before_its_first_line(tmp_path):
    left(tmp_path, "edge-1.jsonl", days=30)
    Spool(tmp_path / "edge-1.jsonl", stdout=None).close()

    assert started(tmp_path) == {"edge-1.jsonl"}


def test_a_file_that_vanished_meanwhile_does_no_harm(tmp_path, monkeypatch):
    left(tmp_path, "order-old-7.jsonl", days=8)
    seen = [tmp_path / "catalog-gone-7.jsonl", *tmp_path.iterdir()]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", lambda _: iter(seen))
        Spool(tmp_path / "order-new-7.jsonl", stdout=None).close()

    assert [path.name for path in tmp_path.iterdir()] == ["order-new-7.jsonl"]


def test_a_file_or_folder_without_rights_does_no_harm(tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError

    left(tmp_path, "order-old-7.jsonl", days=8)
    for what in ("unlink", "iterdir", "exists"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, what, forbidden)
            spool = Spool(tmp_path / "order-new-7.jsonl", stdout=None)
        spool.write(b"line\n")
        spool.close()
        assert spool.dropped == 0

    assert (tmp_path / "order-old-7.jsonl").exists()
