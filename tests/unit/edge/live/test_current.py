import asyncio
import gc
import weakref
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.live.current import LiveRoutes
from edge.live.kept import KeptFile
from edge.pipeline import snapshot_of
from edge.routes import compiled
from edge.snapshot import hash_of
from tests.builders.tables import a_page, a_route, table_text

pytestmark = pytest.mark.anyio

FILE = table_text(a_page(summary="from the file"))
GOOD = table_text(a_page(summary="another"))
BAD = table_text(a_page(auth="maybe", colour="red"))


def table(number):
    return table_text(a_page(summary=f"table {number}"), a_page("openapi"), a_route())


def live_routes(compiling=snapshot_of):
    return LiveRoutes(snapshot_of(compiled(FILE), "file"), compiling=compiling)


def held():
    """Tasks and open files."""
    return len(asyncio.all_tasks()), sum(1 for _ in Path("/proc/self/fd").iterdir())


def summary(live):
    return live.snapshot.table.routes[0].policy.summary


async def test_a_good_table_is_swapped_in_whole_and_says_where_it_is_from():
    live = live_routes()
    before = live.snapshot

    await live.follow(GOOD)

    assert summary(live) == "another"
    assert before.table.routes[0].policy.summary == "from the file"
    assert live.state() == {
        "version": hash_of(GOOD),
        "origin": "consul",
        "since": live.snapshot.version.since.isoformat(timespec="milliseconds"),
        "refused": None,
    }


async def test_a_bad_table_has_no_effect_is_shown_with_every_fault_and_logged_once():
    live = live_routes()
    await live.follow(GOOD)
    before = live.snapshot

    with capture_logs() as logs:
        for _ in range(3):
            await live.follow(BAD)

    assert live.snapshot is before
    assert [line["event"] for line in logs] == ["edge.routes.refused"]
    refused = live.state()["refused"]
    assert refused["version"] == hash_of(BAD)
    assert [fault.partition(" ")[0] for fault in refused["faults"]] == ["line", "line"]
    assert live.counts == {"taken": 1, "refused": 1}


@pytest.mark.parametrize("mended_by", [GOOD, FILE, None], ids=["the table in force", "another", "no table"])
async def test_a_refusal_is_over_once_the_bad_table_is(mended_by):
    live = live_routes()
    await live.follow(GOOD)
    await live.follow(BAD)

    await live.follow(mended_by)

    assert live.refusal is None


async def test_without_a_shared_table_the_file_counts_again():
    live = live_routes()
    await live.follow(GOOD)

    await live.follow(None)

    assert live.snapshot is live.file
    assert live.state()["origin"] == "file"


async def test_a_table_that_our_own_code_stumbles_over_is_a_bad_one_and_no_end_of_anything():
    def stumbling(table, origin):
        raise ZeroDivisionError

    live = live_routes(compiling=stumbling)

    with capture_logs() as logs:
        await live.follow(GOOD)

    assert summary(live) == "from the file"
    assert [line["event"] for line in logs] == ["edge.routes.not_checked", "edge.routes.refused"]


async def test_the_last_good_table_outlives_a_restart_and_a_bad_one_does_not_replace_it(tmp_path):
    path = tmp_path / "kept" / "routes"
    live = live_routes()
    live.restore(KeptFile(path))
    await live.follow(GOOD)
    await live.follow(BAD)

    restarted = live_routes()
    restarted.restore(KeptFile(path))

    assert summary(restarted) == "another"
    assert restarted.state()["origin"] == "kept"
    assert list(path.parent.iterdir()) == [path]


async def test_what_was_taken_back_is_not_restored(tmp_path):
    path = tmp_path / "routes"
    live = live_routes()
    live.restore(KeptFile(path))
    await live.follow(GOOD)

    await live.follow(None)

    assert not path.exists()
    restarted = live_routes()
    restarted.restore(KeptFile(path))
    assert restarted.snapshot is restarted.file


@pytest.mark.parametrize(
    "content", [BAD.encode(), b"\xff\xfe", b"", GOOD.encode()[:-40]], ids=["bad", "no text", "empty", "cut off"]
)
async def test_a_kept_table_that_is_not_usable_is_passed_over_and_said(tmp_path, content):
    path = tmp_path / "routes"
    path.write_bytes(content)
    live = live_routes()

    with capture_logs() as logs:
        live.restore(KeptFile(path))

    assert summary(live) == "from the file"
    assert [line["log_level"] for line in logs] == ["warning"]


async def test_an_edge_that_is_older_than_the_table_serves_its_own_loudly_until_it_gets_one_it_knows(tmp_path):
    newer = f"never_heard_of: 1\n{GOOD}"
    (tmp_path / "routes").write_text(newer)
    live = live_routes()

    with capture_logs() as logs:
        live.restore(KeptFile(tmp_path / "routes"))
        await live.follow(newer)
    before = live.state()
    await live.follow(GOOD)

    assert (before["origin"], before["refused"]["version"]) == ("file", hash_of(newer))
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("edge.routes.kept_not_usable", "warning"),
        ("edge.routes.refused", "error"),
    ]
    assert all("never_heard_of" in str(line["faults"]) for line in logs)
    assert (summary(live), live.state()["refused"]) == ("another", None)


async def test_a_disk_that_fails_costs_the_memory_of_the_table_and_nothing_else(tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    live = live_routes()
    live.restore(KeptFile(tmp_path / "taken" / "routes"))

    with capture_logs() as logs:
        await live.follow(GOOD)
        await live.follow(table(1))

    assert summary(live) == "table 1"
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["edge.routes.not_kept"] * 1


async def test_a_thousand_swaps_leave_nothing_behind():
    live = live_routes()
    await live.follow(table("first"))
    before = held()
    gone = []

    for number in range(1000):
        gone.append(weakref.ref(live.snapshot.table))
        await live.follow(table(number))

    while gc.collect():  # what a finalizer lets go of is found in the next round
        pass
    assert live.counts["taken"] == 1001
    kept = {number: old for number, each in enumerate(gone) if (old := each()) is not None}
    assert {number: list(map(type, gc.get_referrers(old))) for number, old in kept.items()} == {}
    assert held() == before


async def test_bytes_that_are_no_text_are_never_taken_for_the_table_in_force(tmp_path):
    live = live_routes()
    live.restore(KeptFile(tmp_path / "kept.yaml"))
    await live.follow(f"{GOOD}\n# what?")
    await live.follow(f"{GOOD}\n# what\udcff")

    assert summary(live) == "another"
    assert live.refusal is not None
