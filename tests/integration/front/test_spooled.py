"""The bound on nginx's file in the spool, which a few lines of shell keep beside it."""

import json
import subprocess
import sys
import threading

import pytest

from shared.logs.holding import FOLDER, HELD
from shipper.folder import prepare
from shipper.ledger import count_given_up
from shipper.places import Places
from tests.builders.waiting import eventually
from tests.integration.front.nginx import PLACE

FULL = 1000
BECOMING = "import sys; print('it is here', flush=True); sys.stdin.read()"


@pytest.fixture
def spool(tmp_path):
    """A folder in which ``spooled`` keeps the file of a process that only waits."""
    process = subprocess.Popen(
        ["sh", PLACE / "spooled.sh", tmp_path / "nginx.jsonl", sys.executable, "-c", BECOMING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "SPOOLED_BYTES": str(FULL), "SPOOLED_SECONDS": "0.05"},
    )
    process.stdout.readline()
    yield tmp_path
    process.stdin.close()
    assert process.wait(60) == 0
    rest = threading.Thread(target=process.stdout.read)
    rest.start()
    rest.join(60)
    assert not rest.is_alive(), "what kept the file lives longer than who wrote it"
    process.stdout.close()


def filled(spool, word):
    """Make the current file a full one; it begins with ``word``. Returns when it was moved away."""
    (spool / "nginx.draft").write_text(f'{{"first":"{word}"}}\n' + '{"a":"line"}\n' * 99)
    (spool / "nginx.draft").replace(spool / "nginx.jsonl")
    eventually(lambda: not (spool / "nginx.jsonl").exists(), what="a place for a new file")


def begins(path):
    return json.loads(path.read_text().partition("\n")[0])["first"]


def held(spool):
    return sorted(begins(path) for path in (spool / FOLDER / HELD).iterdir())


def test_a_full_file_takes_the_place_of_the_one_before(spool):
    filled(spool, "a")
    filled(spool, "b")

    assert [path.name for path in spool.iterdir()] == ["nginx.1.jsonl"]
    assert begins(spool / "nginx.1.jsonl") == "b"


def test_a_file_that_is_not_full_stays(spool):
    (spool / "nginx.jsonl").write_text('{"first":"small"}\n')
    filled_beside = spool / "order-1.jsonl"
    filled_beside.write_text("x" * 5 * FULL)

    with pytest.raises(AssertionError):
        eventually(lambda: not (spool / "nginx.jsonl").exists(), within=1.0)

    assert filled_beside.exists()


def test_where_a_shipper_works_each_full_file_is_held_for_it(spool):
    prepare(spool, 10 * FULL)

    filled(spool, "a")
    filled(spool, "b")

    assert held(spool) == ["a", "b"]


def test_while_no_shipper_runs_the_oldest_go_and_it_counts_them_later(spool):
    prepare(spool, FULL)  # one and a half of ours are twice that

    for word in "abcd":
        filled(spool, word)

    assert held(spool) == ["d"]
    places = Places(spool / FOLDER / "places.json")
    assert count_given_up(spool, places, {}) == 300
    assert places.totals == {"dropped": 300}
