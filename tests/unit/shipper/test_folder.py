import os
from types import SimpleNamespace

import pytest

from shared.logs.holding import FOLDER, HELD
from shipper.batch import gather
from shipper.folder import Folder
from shipper.metering import Meters
from shipper.places import Places

LINE = b'{"@timestamp":"2026-11-21T10:00:00Z","of":"%b","n":"%03d"}\n'
LONG_AGO = 1_000_000_000


@pytest.fixture
def shop(tmp_path):
    (tmp_path / FOLDER).mkdir()
    places = Places(tmp_path / FOLDER / "places.json")
    return SimpleNamespace(spool=tmp_path, places=places, folder=Folder(tmp_path, places, Meters(), disk_bytes=1_000))


def written(shop, name, lines, *, ago=0):
    path = shop.spool / f"{name}.jsonl"
    path.write_bytes(b"".join(LINE % (name.encode(), number) for number in range(lines)))
    if ago:
        os.utime(path, (LONG_AGO - ago, LONG_AGO - ago))
    return path


def held(shop):
    return {path.name.split(".")[0] for path in (shop.spool / FOLDER / HELD).iterdir()}


def delivered(shop):
    """Everything there is."""
    batch = gather(shop.folder)
    for stretch in batch.stretches.values():
        stretch.tally["delivered"] += stretch.lines
        stretch.settled = True
    shop.folder.settle()
    return batch


def test_one_request_has_lines_of_every_file(shop):
    for name in ("edge-1", "order-1", "cart-1"):
        written(shop, name, 3)
    shop.folder.look()

    batch = gather(shop.folder)

    assert (len(batch.records), len(batch.stretches)) == (9, 3)
    assert not gather(shop.folder).records, "what is under way is not sent twice"


def test_a_file_that_was_moved_away_is_read_on_and_held_until_it_is_settled_and_nobody_writes_to_it(shop):
    path = written(shop, "edge-1", 3)
    shop.folder.look()
    path.rename(shop.spool / "edge-1.1.jsonl")
    path.write_bytes(LINE % (b"next", 0) + LINE % (b"next", 1))

    shop.folder.look()
    assert held(shop) == {"edge-1"}
    assert len(delivered(shop).records) == 3 + 2
    shop.folder.look()
    assert held(shop) == {"edge-1"}, "its writer may not know yet"
    os.utime(shop.spool / "edge-1.1.jsonl", (LONG_AGO, LONG_AGO))
    shop.folder.look()
    assert not held(shop)
    assert not gather(shop.folder).records


def test_a_copy_is_not_sent_a_second_time(shop):
    path = written(shop, "edge-1", 3)
    (shop.spool / "copy.jsonl").write_bytes(path.read_bytes())

    shop.folder.look()

    assert len(delivered(shop).records) == 3
    assert not gather(shop.folder).records


def test_a_file_that_was_emptied_in_place_begins_anew(shop):
    path = written(shop, "edge-1", 3)
    shop.folder.look()
    delivered(shop)
    path.write_bytes(LINE % (b"later", 0))

    shop.folder.look()
    shop.folder.look()

    assert len(delivered(shop).records) == 1
    assert len(shop.places.files) == 1


def test_a_file_that_was_deleted_is_read_to_its_end_and_forgotten(shop):
    path = written(shop, "edge-1", 3)
    shop.folder.look()
    path.unlink()

    shop.folder.look()
    assert len(delivered(shop).records) == 3
    shop.folder.look()
    assert shop.places.files == {}


def test_what_is_settled_and_a_week_old_is_deleted_and_nothing_else(shop):
    old = written(shop, "old-1", 3, ago=1)
    recent = written(shop, "recent-1", 3)
    shop.folder.look()
    delivered(shop)
    waiting = written(shop, "waiting-1", 3, ago=1)

    shop.folder.look()
    shop.folder.look()

    assert [path.exists() for path in (old, recent, waiting)] == [False, True, True]
    assert len(delivered(shop).records) == 3


def test_over_the_bound_the_oldest_full_file_goes_and_its_lines_are_counted(shop):
    for age, name in enumerate(("newest", "older", "oldest")):
        written(shop, f"{name}-1.1", 8, ago=age)

    shop.folder.look()

    assert held(shop) == {"newest-1"}
    assert shop.places.totals == {"dropped": 16}
    shop.folder.look()
    assert len(delivered(shop).records) == 8
