"""What is made of Elasticsearch's answers."""

import ssl
from types import SimpleNamespace

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import exceptions as of

from kirana.logbook import Query
from kirana.logbook.elastic import ElasticArchive, in_order, written
from kirana.logbook.elastic_faults import fault_of
from kirana.logbook.elastic_search import PAGE
from kirana.logbook.story import story_of
from shipper.settings import Destination
from tests.builders.log_lines import a_line, ran, served
from tests.fakes.elasticsearch.searches import Searches
from tests.fakes.elasticsearch.streams import Streams

PLACE = Destination(("https://search:9200",), user="reader", password="a secret", request_seconds=30)


def test_a_line_is_shown_as_it_was_written_before_the_shipper_named_its_stream():
    line = a_line(1.25, "order.placed", labels={"redelivered": True, "count": 3})

    assert written({"data_stream": {"type": "logs", "dataset": "kirana.order"}} | line) == line


def test_a_document_that_was_made_anew_of_its_fields_is_a_line_again():
    line = a_line(1.25, "order.placed", labels={"redelivered": True, "late": False, "said": "truest"})
    anew = line | {"@timestamp": "2026-11-21T10:00:01.250Z"}
    anew["labels"] = {"redelivered": "true", "late": "false", "said": "truest"}

    assert written(anew) == line


@pytest.mark.parametrize("stamp", ["2026-11-21T10:00:01.123456Z", "2026-11-21T10:00:01+00:00", "2026-11-21T10:00:01Z"])
def test_a_moment_that_says_all_it_knows_is_left_as_it_is(stamp):
    assert written({"@timestamp": stamp}) == {"@timestamp": stamp}


def test_lines_of_one_moment_stand_as_in_their_file():
    hits = [{"_id": id_, "_source": a_line(1.0, id_)} for id_ in ("a1-10a", "a1-9", "a1-ff")]
    hits.insert(1, {"_id": "a1-fff", "_source": ran(0.999999, "order.place_order")})

    assert [line["message"] for line in in_order(hits)] == ["rpc.call", "a1-9", "a1-ff", "a1-10a"]


class Client:
    """The official client's part of a conversation with the stand-in, without a wire between them."""

    def __init__(self, *documents, stream="logs-kirana.order-local"):
        streams = Streams()
        streams.documents = {stream: {f"a-{number:x}": document for number, document in enumerate(documents)}}
        self.streams = streams.documents
        self._searches = Searches(streams)

    def open_point_in_time(self, *, index, keep_alive, **_):
        return SimpleNamespace(body=self._searches.open(index, keep_alive))

    def search(self, **body):
        return SimpleNamespace(body=self._searches.search(body))

    def close_point_in_time(self, **body):
        return SimpleNamespace(body=self._searches.close(body))


def test_a_line_that_was_stored_twice_is_told_once():
    client = Client(a_line(1.0, "order.placed"))
    client.streams["logs-kirana.order-two"] = dict(client.streams["logs-kirana.order-local"])

    assert len(list(ElasticArchive(client, PLACE).found(Query()))) == 1


def test_lines_that_come_while_it_is_read_move_no_other_line():
    client = Client(*(a_line(number / 1_000, f"step_{number}") for number in range(PAGE + 5)))

    found = ElasticArchive(client, PLACE).found(Query())
    first = next(found)
    client.streams["logs-kirana.order-local"] |= {"b-1": a_line(-1.0, "early"), "b-2": a_line(1.0005, "between")}
    rest = list(found)

    assert [line["message"] for line in (first, *rest)] == [f"step_{number}" for number in range(PAGE + 5)]


def test_other_requests_that_fail_meanwhile_do_not_hide_what_explains_this_one():
    others = [served(1.0, 503, request=f"other-{number}", level="warning") for number in range(50)]
    mine = ran(1.9, "catalog.reserve_stock", request="r-1", code="internal"), served(2.0, 500, request="r-1")
    opened = a_line(1.5, "rpc.breaker.changed", request=None, level="warning")
    archive = ElasticArchive(Client(*others, *mine, opened), PLACE, most_lines=10)

    story = story_of("r-1", list(mine), archive)

    assert [line["message"] for line in story.meanwhile] == ["rpc.breaker.changed"]
    assert archive.shortfalls == []


def refused(status, reason="no"):
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("https", "search", 9200))
    return of.ApiError("x", meta, {"error": {"type": "some_exception", "reason": reason}})


@pytest.mark.parametrize(
    ("fault", "said", "mend"),
    [
        (refused(401), "does not know the user reader (401)", "KIRANA_ELASTICSEARCH_PASSWORD_FILE"),
        (refused(403, "action [x] is unauthorized"), "(403): action [x] is unauthorized", "kirana_reader"),
        (refused(404, "No search context"), "(404): No search context", "once more"),
        (refused(503, "all shards failed"), "answered 503: all shards failed", "shorter time"),
        (of.ConnectionTimeout("x"), "did not answer within 30 s", "KIRANA_ELASTICSEARCH_TIMEOUT"),
        (
            of.SSLError("x", (ssl.SSLError("certificate verify failed: self-signed certificate"),)),
            "not one that we trust: ",
            "KIRANA_ELASTICSEARCH_CA",
        ),
        (
            of.SSLError("x", (ssl.SSLError("Hostname mismatch, certificate is not valid for 'localhost'."),)),
            "made out to another name",
            "/etc/hosts",
        ),
        (of.SSLError("x", (ssl.SSLError("[SSL: WRONG_VERSION_NUMBER]"),)), "does not speak TLS", "http://"),
        (of.ConnectionError("x", (OSError("Connection refused"),)), "cannot be reached: Connection refused", "runs"),
        (of.SerializationError("no JSON"), "nobody can read: no JSON", "--elasticsearch"),
        (of.UnsupportedProductError("x", refused(200).meta, {}), "is no Elasticsearch", "--elasticsearch"),
    ],
    ids=[
        "401",
        "403",
        "404",
        "503",
        "timeout",
        "authority",
        "name",
        "no TLS",
        "unreachable",
        "no JSON",
        "another product",
    ],
)
def test_each_fault_is_said_in_one_line_with_what_to_do(fault, said, mend):
    told = fault_of(fault, PLACE)

    assert said in str(told)
    assert "https://search:9200" in str(told)
    assert mend in told.mend
    assert "\n" not in str(told)
    assert "a secret" not in f"{told} {told.mend} {told.cause}"


def test_who_asks_with_a_key_or_without_a_name_is_called_so():
    nobody, key = Destination(("http://search:9200",)), Destination(("http://search:9200",), api_key="k")

    assert "somebody without a name" in str(fault_of(refused(401), nobody))
    assert "this API key" in str(fault_of(refused(401), key))
