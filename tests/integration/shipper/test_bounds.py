import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import orjson
import pytest

from shared.logs.holding import FOLDER, GIVEN_UP
from shipper.metering import FAMILIES
from tests.builders.elasticsearch import Elasticsearch
from tests.builders.servers import free_port
from tests.builders.shippers import Nursery
from tests.builders.spooled import Writers, numbers
from tests.builders.waiting import eventually

pytestmark = pytest.mark.takes(40)

FILE_BYTES = 200_000
BOUND = 1_000_000
A_LINE = 450


def test_while_elasticsearch_is_away_the_disk_is_bounded_and_what_had_to_go_is_counted_to_the_line(tmp_path):
    spool = tmp_path / "spool"
    elasticsearch = Elasticsearch()
    with Nursery(spool, elasticsearch.url, KIRANA_SHIPPER_DISK_BYTES=str(BOUND)) as nursery:
        nursery.start_and_wait()
        writers = Writers(spool, "edge-1", "order-1", most_bytes=FILE_BYTES)
        most = 0
        for _ in range(5):
            writers.write(BOUND // A_LINE)
            eventually(lambda: nursery.held_bytes() <= BOUND, what="room")
            most = max(most, sum(path.stat().st_size for path in spool.glob("*.jsonl")))
        with elasticsearch:
            written = writers.written
            eventually(lambda: nursery.settled() >= written, within=60, what="a verdict on every line")
            nursery.drain()
            delivered = numbers(elasticsearch.documents().values())

    totals = nursery.totals()
    assert len(set(delivered)) == len(delivered) == totals["delivered"]
    assert totals["dropped"] > 0
    assert totals["delivered"] + totals["dropped"] == written
    assert max(delivered) == written - 1, "the newest are kept"
    assert most <= 4 * (FILE_BYTES + 100 * A_LINE)


def test_a_shipper_killed_while_it_drops_counts_no_line_too_few(tmp_path):
    spool = tmp_path / "spool"
    elasticsearch = Elasticsearch()
    with Nursery(spool, elasticsearch.url, KIRANA_SHIPPER_DISK_BYTES=str(BOUND)) as nursery:
        nursery.start_and_wait()
        writers = Writers(spool, "edge-1", most_bytes=FILE_BYTES)
        for _ in range(5):
            writers.write(BOUND // A_LINE)
            eventually(lambda: nursery.held_bytes() <= BOUND, what="room")
            nursery.end(signal.SIGKILL)
            nursery.start_and_wait()
        with elasticsearch:
            eventually(lambda: nursery.settled() >= writers.written, within=60, what="a verdict on every line")
            nursery.drain()
            delivered = set(numbers(elasticsearch.documents().values()))

    assert len(delivered) + nursery.totals()["dropped"] >= writers.written


def test_writers_keep_the_bound_twice_over_while_no_shipper_runs_and_their_drops_are_counted(tmp_path):
    spool = tmp_path / "spool"
    with Elasticsearch() as elasticsearch:
        with Nursery(spool, elasticsearch.url, KIRANA_SHIPPER_DISK_BYTES=str(BOUND)) as nursery:
            with nursery.shipping():
                pass
            writers = Writers(spool, "edge-1", most_bytes=FILE_BYTES)
            writers.write(4 * BOUND // A_LINE)
            held = nursery.held_bytes()
            nursery.start_and_wait()
            eventually(lambda: nursery.settled() >= writers.written, within=60, what="a verdict on every line")
            nursery.drain()
        delivered = numbers(elasticsearch.documents().values())

    assert BOUND < held <= 2 * BOUND + FILE_BYTES
    totals = nursery.totals()
    assert len(delivered) == totals["delivered"]
    assert totals["dropped"] > 0
    assert totals["delivered"] + totals["dropped"] == writers.written


def test_full_files_are_let_go_when_they_are_settled(tmp_path):
    spool = tmp_path / "spool"
    with Elasticsearch() as elasticsearch, Nursery(spool, elasticsearch.url) as nursery:
        nursery.start_and_wait()
        writers = Writers(spool, "edge-1", most_bytes=FILE_BYTES)
        writers.write(10 * FILE_BYTES // A_LINE)
        eventually(lambda: nursery.settled() >= writers.written, what="delivery")
        eventually(lambda: not nursery.held_bytes(), what="room")
        nursery.drain()

        assert sorted(numbers(elasticsearch.documents().values())) == [*range(writers.written)]


def test_an_absent_elasticsearch_costs_the_machine_next_to_nothing(tmp_path):
    spool = tmp_path / "spool"
    Writers(spool, "edge-1").write(20_000)
    with Nursery(spool, f"http://127.0.0.1:{free_port()}") as nursery:
        nursery.start_and_wait()
        eventually(lambda: nursery.cpu_seconds > 0.05, what="the first tries")
        before, begun = nursery.cpu_seconds, time.monotonic()
        time.sleep(2)  # a rate is measured over a time

        assert (nursery.cpu_seconds - before) / (time.monotonic() - begun) < 0.15


def test_a_backlog_is_caught_up_with_at_20_000_lines_for_each_second_of_a_processor(tmp_path):
    spool = tmp_path / "spool"
    writers = Writers(spool, "edge-1", "order-1")
    writers.write(40_000)
    with Elasticsearch() as elasticsearch, Nursery(spool, elasticsearch.url) as nursery:
        nursery.start_and_wait()
        before = nursery.cpu_seconds
        eventually(lambda: nursery.settled() == 40_000, within=60, what="delivery")

        assert nursery.cpu_seconds - before < 40_000 / 20_000


def test_a_second_shipper_of_a_spool_says_what_to_do_and_tries_no_more(tmp_path):
    spool = tmp_path / "spool"
    with Nursery(spool, f"http://127.0.0.1:{free_port()}") as nursery:
        nursery.start_and_wait()

        done = _shipper(spool, f"http://127.0.0.1:{free_port()}")

    assert done.returncode == 75
    assert f"Another shipper works on {spool}" in done.stderr


def test_a_shipper_without_settings_names_every_one_that_it_needs():
    done = _shipper("", "")

    assert done.returncode == 78
    assert "KIRANA_ELASTICSEARCH_URL is required." in done.stderr
    assert "KIRANA_LOG_SPOOL is required." in done.stderr


def _shipper(spool, url):
    environment = {"PATH": os.environ["PATH"], "KIRANA_LOG_SPOOL": str(spool), "KIRANA_ELASTICSEARCH_URL": url}
    environment["PYTHONPATH"] = str(Path.cwd())
    return subprocess.run(
        [sys.executable, "-m", "shipper"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_metric_of_the_shipper_is_told_from_its_start(tmp_path):
    port = free_port()
    with Nursery(tmp_path / "spool", f"http://127.0.0.1:{free_port()}", KIRANA_METRICS_PORT=str(port)) as nursery:
        nursery.start_and_wait()
        told = eventually(
            lambda: httpx.get(f"http://127.0.0.1:{port}/metrics").text, despite=httpx.TransportError, what="metrics"
        )

    assert not [family.name for family in FAMILIES if f"\n{family.name}" not in told]
    assert 'kirana_shipper_dropped_total{reason="disk_bound"} 0.0' in told


def test_what_was_lost_before_a_shipper_started_is_in_the_first_that_it_tells_and_how_young_it_is(tmp_path):
    """All that the alarm needs, as nothing grows any more when Prometheus comes to ask."""
    spool, port = tmp_path / "spool", free_port()
    shipping = spool / FOLDER
    shipping.mkdir(parents=True)
    shipping.joinpath(GIVEN_UP).write_bytes(b'{"birth":"a","lines":40}\n')
    given_up = {"at": 9, "lines": 1, "given_up": True, "pending": 3}
    shipping.joinpath("places.json").write_bytes(
        orjson.dumps({"files": {"b": given_up}, "totals": {"dropped": 500}, "read": 0})
    )
    begun = time.time()
    with Nursery(spool, f"http://127.0.0.1:{free_port()}", KIRANA_METRICS_PORT=str(port)) as nursery:
        nursery.start_and_wait()

        def told():
            text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            return text if '{reason="no_shipper"} 40.0' in text else None

        text = eventually(told, despite=httpx.TransportError, what="what was lost")

    assert 'kirana_shipper_dropped_total{reason="killed"} 3.0' in text
    (start,) = re.findall(r"^process_start_time_seconds (\S+)$", text, re.MULTILINE)
    assert float(start) > begun - 60, "as young as it is, and not as its predecessor was"
