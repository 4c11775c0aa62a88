import time

import orjson
import pytest

from edge.rpc.calls import CallContext, Deadline
from edge.rpc.failures import OutcomeUnknown, RemoteRefusal
from edge.rpc.wire import context_of, decode_reply, encode_call, properties_of
from shared.contracts.cart import METHODS
from shared.contracts.frames import expiration_of
from shared.contracts.method import Method, Request
from shared.contracts.refusals import InvalidRequest


class Anything(Request):
    pass


READ = Method("catalog", "get_product", Anything, None)
CHANGE = Method("catalog", "create_product", Anything, None, mutating=True)


def a_context(**changes) -> CallContext:
    return CallContext(
        **{
            "request_id": "request-1",
            "deadline": Deadline.after(5),
            "route": "get_product",
            "operation_id": "request/1",
            "fingerprint": "f" * 64,
            **changes,
        }
    )


def test_a_call_has_the_body_that_nameko_expects():
    assert orjson.loads(encode_call({"product_id": 1})) == {"args": [], "kwargs": {"product_id": 1}}


def test_every_header_has_namekos_prefix_and_what_is_not_known_is_left_out():
    context = a_context(user_id="user-1")
    before = int(time.time() * 1000)

    table = properties_of(READ, context, correlation_id="7", reply_to="queue").headers

    assert before <= table.pop("nameko.sent_at") <= time.time() * 1000
    assert table == {
        "nameko.request_id": "request-1",
        "nameko.deadline": context.deadline.epoch_ms,
        "nameko.user_id": "user-1",
        "nameko.call_id_stack": ["edge.get_product.request-1"],
        "kirana-return-to": "queue",
    }


def test_only_a_change_carries_its_operation_id_and_fingerprint():
    assert "operation_id" not in context_of(READ, a_context())
    assert context_of(CHANGE, a_context())["operation_id"] == "request/1"
    assert context_of(CHANGE, a_context())["operation_fingerprint"] == "f" * 64


def test_what_was_seen_beside_the_version_is_told_of_a_change():
    seen = a_context(beside_version=0)

    assert context_of(CHANGE, seen)["beside_version"] == 0
    assert "beside_version" not in context_of(READ, seen) | context_of(CHANGE, a_context())


@pytest.mark.parametrize(("patience", "expiration"), [(5.0, "4850"), (0.2, "100"), (0.0, "1"), (-1.0, "1")])
def test_a_call_expires_early_enough_for_the_news_to_be_of_use(patience, expiration):
    assert expiration_of(patience) == expiration


def test_a_lone_call_carries_the_trace_by_its_own_name_as_well():
    context = a_context().under("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None)

    found = properties_of(READ, context, correlation_id="7", reply_to="queue").headers

    assert found["traceparent"] == found["nameko.traceparent"] == context.traceparent
    assert "tracestate" not in found


def test_a_call_expires_with_its_deadline_and_is_not_kept_on_disk():
    deadline = Deadline.after(2)

    before = expiration_of(deadline.remaining())
    properties = properties_of(READ, a_context(deadline=deadline), correlation_id="7", reply_to="queue")
    after = expiration_of(deadline.remaining())

    assert int(after) <= int(properties.expiration or 0) <= int(before) <= 1850
    assert properties.delivery_mode == 1
    assert (properties.correlation_id, properties.reply_to) == ("7", "queue")
    assert (properties.content_type, properties.content_encoding) == ("application/json", "utf-8")


def test_an_answer_is_read():
    assert decode_reply(b'{"result": {"id": 1}, "error": null}', {}).result == {"id": 1}


def test_a_stored_answer_says_so():
    assert decode_reply(b'{"result": 1, "error": null}', {"nameko.replayed": True}).replayed
    assert not decode_reply(b'{"result": 1, "error": null}', None).replayed


def test_a_refusal_crosses_with_code_sentence_and_details():
    refusal = InvalidRequest(errors=[{"pointer": "/quantity", "detail": "too many"}])

    with pytest.raises(RemoteRefusal) as refused:
        decode_reply(orjson.dumps({"result": None, "error": refusal.to_wire()}), {})

    assert refused.value.code == "request.invalid"
    assert refused.value.sentence == str(refusal)
    assert refused.value.details == refusal.details
    assert refused.value.remote_type == ""


@pytest.mark.parametrize(
    "error",
    [
        {"exc_type": "ValueError", "exc_path": "builtins.ValueError", "exc_args": ["a", "b", {}], "value": "secret"},
        {"exc_type": "X", "exc_path": "kirana.x", "exc_args": ["only a code"], "value": "secret"},
        {"exc_type": "X"},
        "no object",
        7,
    ],
)
def test_what_a_foreign_fault_says_never_leaves_the_edge(error):
    with pytest.raises(RemoteRefusal) as refused:
        decode_reply(orjson.dumps({"result": None, "error": error}), {})

    assert refused.value.code == "internal"
    assert "secret" not in refused.value.sentence
    assert refused.value.remote_type


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"7", b"null", b'{"result": 1}', b'{"error": null}'])
def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown(body):
    with pytest.raises(OutcomeUnknown):
        decode_reply(body, {})


def test_every_method_has_a_routing_key_of_two_words():
    assert all(method.routing_key.count(".") == 1 for method in METHODS)
