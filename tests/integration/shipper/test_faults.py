import signal
import threading
from itertools import chain

import pytest

from shipper.delivery import Delivery
from shipper.elastic import connect
from shipper.records import record_of
from shipper.settings import Destination
from shipper.verdicts import Kind
from tests.builders.elasticsearch import Elasticsearch
from tests.builders.shippers import Nursery
from tests.builders.spooled import Writers, a_line, numbers
from tests.builders.waiting import eventually
from tests.fakes.elasticsearch.server import AFTER_STORING, FAULTS


@pytest.fixture(scope="module")
def elasticsearch():
    with Elasticsearch() as server:
        yield server


class Overheard:
    """What a sender tells."""

    def __init__(self):
        self.retried = {}
        self.went_wrong_by = []
        self.delivered = False

    def sent(self, seconds):
        pass

    def again(self, word, records):
        self.retried[word] = self.retried.get(word, 0) + records

    def went_wrong(self, word, sentence):
        self.went_wrong_by.append((word, sentence))

    def went_well(self):
        self.delivered = True


class NoWait:
    def uniform(self, _least, _most):
        return 0.01


def sender(server, watcher, *, key="", abandon=None):
    destination = Destination((server.url,), api_key=key, request_seconds=1)
    client = connect(destination, connections=1)
    return Delivery(client, watcher, abandon=abandon or threading.Event(), dice=NoWait())


def some_records(count, *, series, fault_of=lambda _: None):
    lines = [a_line(number, fault=fault_of(number)).rstrip(b"\n") for number in range(count)]
    return [record_of(line, f"{series}-{number:x}") for number, line in enumerate(lines)]


REASONS = {
    "throttled": "throttled",
    "unavailable": "server",
    "bad_request": "refused",
    "unauthorised": "unauthorised",
    "partial": "throttled",
    "hang": "timeout",
    "hang_stored": "timeout",
    "reset": "unreachable",
    "reset_stored": "unreachable",
    "cut": "unreachable",
    "no_product": "not_elasticsearch",
}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "too_large"])
def test_after_any_fault_every_record_is_there_once_and_the_reason_is_told(elasticsearch, fault):
    watcher, records = Overheard(), some_records(200, series=fault)
    delivery = sender(elasticsearch, watcher)
    elasticsearch.misbehave(fault)
    found = []
    sending = threading.Thread(target=lambda: found.append(delivery.deliver(records)))
    sending.start()
    eventually(lambda: watcher.retried, what="the first retry")
    elasticsearch.misbehave()
    sending.join(60)

    (fates,) = found
    assert {fate.record.id for fate in fates} == {record.id for record in records}
    repeated = [fate for fate in fates if fate.verdict.kind is Kind.REPEATED]
    assert bool(repeated) == (fault in AFTER_STORING)
    assert {fate.verdict.kind for fate in fates} <= {Kind.DELIVERED, Kind.REPEATED}
    assert REASONS[fault] in watcher.retried
    assert {record.id for record in records} <= set(elasticsearch.documents())


def test_what_is_too_much_at_once_goes_in_smaller_parts_and_a_record_too_large_by_itself_is_dead(elasticsearch):
    lines = [*some_records(50, series="small"), record_of(_incompressible(), "large-0")]
    elasticsearch.misbehave(most_bytes=4_000)

    fates = sender(elasticsearch, Overheard()).deliver(lines)
    elasticsearch.misbehave(most_bytes=100 * 2**20)

    dead = [fate for fate in fates if fate.verdict.kind is Kind.DEAD]
    assert [(fate.record.id, fate.verdict.reason) for fate in dead] == [("large-0", "413 too large by itself")]
    assert len(fates) == 51


def _incompressible():
    noise = "".join(f"{pow(7, number, 2**61 - 1):x}" for number in range(2_000))
    return b'{"@timestamp":"2026-11-21T10:00:00Z","message":"%b"}' % noise.encode()


def test_a_record_that_elasticsearch_will_never_take_is_dead_with_its_reason_and_the_others_are_there(elasticsearch):
    kinds = {3: "mapping", 5: "failure_store"}
    records = some_records(10, series="poison", fault_of=kinds.get)

    fates = sender(elasticsearch, Overheard()).deliver(records)

    dead = {fate.record.id: fate.verdict.reason for fate in fates if fate.verdict.kind is Kind.DEAD}
    assert dead.keys() == {"poison-3", "poison-5"}
    assert dead["poison-3"].startswith("400 document_parsing_exception: [1:20] object mapping")
    assert dead["poison-5"].startswith("failure_store")


def test_a_wait_ends_when_the_sender_is_told_to_give_up(elasticsearch):
    abandon, watcher, found = threading.Event(), Overheard(), []
    delivery = sender(elasticsearch, watcher, abandon=abandon)
    elasticsearch.misbehave("unavailable")
    sending = threading.Thread(target=lambda: found.append(delivery.deliver(some_records(5, series="abandoned"))))
    sending.start()
    eventually(lambda: watcher.retried, what="the first retry")

    abandon.set()
    sending.join(30)
    elasticsearch.misbehave()

    assert found == [None]


def test_who_has_no_key_waits_until_there_is_one_and_loses_nothing():
    with Elasticsearch(key="right") as locked:
        abandon, watcher = threading.Event(), Overheard()
        records = some_records(5, series="locked")
        stranger = sender(locked, watcher, key="wrong", abandon=abandon)
        waiting = threading.Thread(target=stranger.deliver, args=(records,))
        waiting.start()
        eventually(lambda: watcher.retried, what="the first refusal")
        abandon.set()
        waiting.join(30)
        fates = sender(locked, Overheard(), key="right").deliver(records)

    assert watcher.retried.keys() == {"unauthorised"}
    assert [fate.verdict.kind for fate in fates] == [Kind.DELIVERED] * 5


def test_requests_are_compressed_and_lines_go_to_their_services_streams_under_ids_that_stay(tmp_path, elasticsearch):
    spool = tmp_path / "spool"
    writers = Writers(spool, "edge-1", "order-1")
    writers.write(20)
    before = elasticsearch.told()
    with Nursery(spool, elasticsearch.url) as nursery:
        with nursery.shipping():
            pass
        first = elasticsearch.streams()
        (spool / ".shipping" / "places.json").unlink()
        with nursery.shipping():
            pass
    after = elasticsearch.told()

    assert after["compressed"] - before["compressed"] == after["requests"] - before["requests"] > 0
    assert elasticsearch.streams() == first
    for service in ("edge", "order"):
        documents = [each for each in first[f"logs-kirana.{service}-local"].values() if "data_stream" in each]
        of_this_test = [each for each in documents if each["service"]["name"] == service][-10:]
        assert len(of_this_test) == 10
        assert {tuple(each["data_stream"].values()) for each in of_this_test} == {
            ("logs", f"kirana.{service}", "local")
        }


def test_a_shipper_that_is_told_to_stop_ships_what_was_written_before_it_ends(tmp_path):
    spool = tmp_path / "spool"
    writers = Writers(spool, "edge-1")
    with Elasticsearch() as elasticsearch, Nursery(spool, elasticsearch.url) as nursery:
        nursery.start_and_wait()
        writers.write(5_000)
        nursery.end(signal.SIGTERM)

        assert sorted(numbers(elasticsearch.documents().values())) == [*range(5_000)]
        assert nursery.totals() == {"delivered": 5_000}


def test_a_shipper_that_cannot_drain_ends_in_time_and_its_successor_ships_the_rest(tmp_path):
    spool = tmp_path / "spool"
    Writers(spool, "edge-1").write(3_000)
    elasticsearch = Elasticsearch()
    with Nursery(spool, elasticsearch.url, KIRANA_SHIPPER_DRAIN_SECONDS="1") as nursery:
        nursery.start_and_wait()
        nursery.end(signal.SIGTERM)
        with elasticsearch:
            nursery.start()
            eventually(lambda: elasticsearch.told()["stored"] == 3_000, what="delivery by the successor")
            nursery.drain()
            found = numbers(chain(elasticsearch.documents().values()))

    assert sorted(found) == [*range(3_000)]
    assert nursery.totals() == {"delivered": 3_000}
