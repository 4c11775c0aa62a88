import random
import signal
import threading
import time

import pytest

from tests.builders.elasticsearch import Elasticsearch
from tests.builders.shippers import Nursery
from tests.builders.spooled import Writers, numbers
from tests.builders.waiting import eventually
from tests.fakes.elasticsearch.server import FAULTS

pytestmark = pytest.mark.takes(35)

RECORDS = 200_000
KILLS = 50
FILE_BYTES = 4 * 2**20
INSTANCES = ("edge-1", "order-1", "catalog-1", "cart-1")
KINDS = {0: "mapping", 1: "failure_store"}


def fault_of(number):
    """Two lines of a thousand are such that Elasticsearch will never take them."""
    return KINDS.get(number % 1_000)


def _live(elasticsearch, *, requests, then_seconds):
    """Until it has sent so many requests, for five seconds at most, and a moment longer: when is left to chance."""
    enough, give_up_at = elasticsearch.told()["requests"] + requests, time.monotonic() + 5
    while elasticsearch.told()["requests"] < enough and time.monotonic() < give_up_at:
        time.sleep(0.01)
    time.sleep(then_seconds)


def _all_faults(elasticsearch):
    drawn = elasticsearch.told()["drawn"]
    return drawn if len(drawn) == len(FAULTS) else None


def test_200_000_lines_reach_elasticsearch_once_in_effect_through_every_fault_and_50_kills(tmp_path):
    spool = tmp_path / "spool"
    dice = random.Random(4711)
    with (
        Elasticsearch() as elasticsearch,
        Nursery(spool, elasticsearch.url, KIRANA_ELASTICSEARCH_TIMEOUT="2") as nursery,
    ):
        elasticsearch.misbehave(*FAULTS, share=0.35, seed=4711)
        nursery.start()
        eventually((spool / ".shipping" / "held").is_dir, what="the first shipper's folder")
        writers = Writers(spool, *INSTANCES, most_bytes=FILE_BYTES)
        writing = threading.Thread(target=lambda: [writers.write(1_000, fault_of) for _ in range(RECORDS // 1_000)])
        writing.start()
        for _ in range(KILLS):
            _live(elasticsearch, requests=dice.randint(0, 3), then_seconds=dice.uniform(0, 0.1))
            nursery.end(signal.SIGKILL)
            nursery.start()
        writing.join()
        writers.close()
        drawn = eventually(lambda: _all_faults(elasticsearch), within=100, what="every fault")
        elasticsearch.misbehave()
        dead = {number for number in range(RECORDS) if fault_of(number)}
        eventually(lambda: elasticsearch.told()["stored"] >= RECORDS - len(dead), within=150, what="delivery of all")
        nursery.drain()

        assert set(drawn) == set(FAULTS)
        assert sorted(numbers(elasticsearch.documents().values())) == sorted(set(range(RECORDS)) - dead)
        assert nursery.totals() == {"delivered": RECORDS - len(dead), "dead": len(dead)}
        letters = nursery.dead_letters()
        assert len({letter["id"] for letter in letters}) == len(letters) == len(dead)
        assert {letter["reason"].partition(":")[0] for letter in letters} == {
            "400 document_parsing_exception", "failure_store"
        }  # fmt: skip
