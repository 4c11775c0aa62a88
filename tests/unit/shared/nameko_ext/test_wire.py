import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirana.stack.definitions import REPLY_KEY
from shared.messaging.call import Call
from shared.nameko_ext import wire
from shared.resilience.deadline import Deadline

GOOD = b'{"args": [], "kwargs": {}}'
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.binary(), inner),
)


def read(body=GOOD, **properties):
    return wire.read_request({**JSON, **properties}, body, method="demo.echo", redelivered=False)


@given(
    anything, st.dictionaries(st.sampled_from(["content_type", "content_encoding", "application_headers"]), anything)
)
def test_whatever_comes_is_read_or_poison(body, properties):
    try:
        asked = read(body, **properties)
    except wire.Poison:
        return
    assert isinstance(asked.args, list)
    assert isinstance(asked.kwargs, dict)


@given(st.dictionaries(st.sampled_from(["reply_to", "correlation_id"]), anything))
def test_whatever_comes_is_an_address_or_none(properties):
    address = wire.read_address(properties)

    assert address is None or 0 < len(address.reply_to) <= 255


@given(st.dictionaries(st.sampled_from(["nameko.deadline", "nameko.call_id_stack", "nameko.user_id"]), anything))
def test_whatever_headers_come_a_call_has_the_right_types(raw):
    try:
        call = wire.read_call(raw, method="demo.echo")
    except wire.Poison:
        return
    assert call.deadline is None or isinstance(call.deadline.epoch_ms, int)
    assert call.user_id is None or isinstance(call.user_id, str)
    assert all(isinstance(part, str) for part in call.call_id_stack)


def test_what_is_written_is_read_again():
    call = Call(
        request_id="r-1",
        method="demo.echo",
        deadline=Deadline(1_900_000_000_000),
        operation_id="user/key",
        fingerprint="f",
        user_id="u",
        traceparent="00-a-b-01",
        call_id_stack=("edge.route.r-1",),
    )

    assert wire.read_call(wire.write_call(call), method="demo.echo") == call


def test_what_does_not_apply_is_not_written():
    assert set(wire.write_call(Call(request_id="r"))) == {"nameko.request_id", "nameko.call_id_stack"}


@pytest.mark.parametrize("reply_to", ["a3f0-9", "amq.gen-Xy_1-z"])
def test_where_replies_may_go(reply_to):
    assert wire.read_address({"reply_to": reply_to}) == wire.ReplyAddress(reply_to, None)


@pytest.mark.parametrize("reply_to", ["order.place_order", "#", "*", "", "a b", "a" * 256, 7, None])
def test_what_could_be_the_key_of_a_call_is_no_address(reply_to):
    assert wire.read_address({"reply_to": reply_to}) is None


@pytest.mark.parametrize("reply_to", ["amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.g1h2AA5yZXBseQ==.a+b/c=="])
def test_direct_reply_to_is_no_address_for_not_every_service_may_write_to_the_default_exchange(reply_to):
    assert wire.read_address({"reply_to": reply_to}) is None


def test_whoever_is_answered_has_an_address_that_the_broker_lets_services_write_to():
    assert wire.ADDRESS.pattern == REPLY_KEY


@pytest.mark.parametrize("name", ["nameko.operation_id", "operation_id"], ids=["alone", "in a frame"])
@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_an_operation_id_that_names_nothing_is_poison(name, blank):
    with pytest.raises(wire.Poison, match="operation_id is blank"):
        wire.read_call({name: blank}, method="demo.add_thing")


def test_a_change_may_come_without_an_operation_id():
    assert wire.read_call({}, method="demo.add_thing").operation_id is None


TEXTS = ("user_id", "operation_id", "operation_fingerprint", "traceparent", "tracestate", "request_id")


@pytest.mark.parametrize("name", TEXTS)
def test_a_header_that_no_json_can_hold_is_poison_and_goes_on_to_nobody(name):
    with pytest.raises(wire.Poison, match=name):
        wire.read_call({f"nameko.{name}": "a\ud800"}, method="demo.echo")


def test_a_call_stack_that_no_json_can_hold_is_poison():
    with pytest.raises(wire.Poison, match="call_id_stack"):
        wire.read_call({"nameko.call_id_stack": ["a.b.c", "\udfff"]}, method="demo.echo")
