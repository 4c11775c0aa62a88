import orjson
import pytest

from shipper.records import Broken, Record, record_of

LINE = (
    b'{"@timestamp":"2026-11-21T10:00:00.000001Z","event":{"dataset":"kirana.order"},"service":{"environment":"local"}}'
)


def with_(**more):
    return orjson.dumps(orjson.loads(LINE) | more)


def test_a_line_becomes_a_create_in_its_services_stream_and_the_document_says_which():
    record = record_of(LINE, "birth-1f")

    action, document, rest = record.wire.split(b"\n")
    assert orjson.loads(action) == {"create": {"_index": "logs-kirana.order-local", "_id": "birth-1f"}}
    stream = {"type": "logs", "dataset": "kirana.order", "namespace": "local"}
    assert orjson.loads(document) == {"data_stream": stream} | orjson.loads(LINE)
    assert rest == b""


@pytest.mark.parametrize(
    ("environment", "namespace"),
    [("Prod-EU 1", "prod_eu_1"), ("", "default"), (None, "default"), ("a" * 300, "a" * 100)],
)
def test_a_namespace_holds_only_what_a_stream_may_be_called(environment, namespace):
    record = record_of(with_(service={"environment": environment}), "x")

    assert record.stream == f"logs-kirana.order-{namespace}"


@pytest.mark.parametrize("event", [None, {}, {"dataset": "someone's"}, {"dataset": 7}, "text"], ids=repr)
def test_a_line_that_names_no_data_set_of_ours_is_not_lost(event):
    assert record_of(with_(event=event), "x").stream == "logs-kirana.unplaced-local"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"@timestamp":"2026', "not_json"),
        (b"", "not_json"),
        (b"[1]", "no_object"),
        (b' {"@timestamp":"2026"}', "no_object"),
        (b"{}", "no_timestamp"),
        (b'{"@timestamp":5}', "no_timestamp"),
    ],
)
def test_what_cannot_be_a_document_is_told_apart_before_it_spoils_a_request(line, reason):
    assert record_of(line, "x") == Broken("x", line, reason)


def test_a_document_that_names_its_stream_itself_is_left_as_it_is():
    record = record_of(with_(data_stream={"dataset": "kirana.order"}), "x")

    assert isinstance(record, Record)
    assert record.wire.count(b"data_stream") == 1
