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


@given(
    st.dictionaries(
        st.sampled_from(["nameko.deadline", "nameko.call_id_stack", "nameko.user_id", "nameko.beside_version"]),
        anything,
    )
)
def test_whatever_headers_come_a_call_has_the_right_types(raw):
    try:
        call = wire.read_call(raw, method="demo.echo")
    except wire.Poison:
        return
    assert call.deadline is None or isinstance(call.deadline.epoch_ms, int)
    assert call.user_id is None or isinstance(call.user_id, str)
    assert call.beside_version is None or isinstance(call.beside_version, int)
    assert all(isinstance(part, str) for part in call.call_id_stack)


def test_what_is_written_is_read_again():
    call = Call(
        request_id="r-1",
        method="demo.echo",
        deadline=Deadline(1_900_000_000_000),
        operation_id="user/key",
        fingerprint="f",
        user_id="u",
        beside_version=0,
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


@pytest.mark.parametrize("operation_id", ["k" * 1024, "ключ" * 128, "一" * 341])
def test_an_operation_id_that_an_index_can_hold_is_taken(operation_id):
    assert wire.read_call({"operation_id": operation_id}, method="demo.add_thing").operation_id == operation_id


@pytest.mark.parametrize("operation_id", ["k" * 1025, "一" * 342, "一" * 1024])
def test_an_operation_id_that_no_index_may_hold_is_poison(operation_id):
    with pytest.raises(wire.Poison, match="operation_id"):
        wire.read_call({"operation_id": operation_id}, method="demo.add_thing")


STACK = ["edge.route.request"] * 64
TOO_MUCH = {
    "a long text": "y" * 20_000,
    "a long text in signs of three bytes": "一" * 6_000,
    "bytes": b"y" * 20_000,
    "a list with a long text": ["y" * 20_000],
    "a table with a long text": {"a": "y" * 20_000},
    "a table with a long name": {"y" * 20_000: "a"},
    "a long text in a list in a table": {"a": [{"b": "y" * 20_000}]},
    "many short texts": ["", "a"] * 5_000,
    "many numbers": [1] * 5_000,
    "many empty lists": [[]] * 5_000,
    "many empty tables in a table": {str(number): {} for number in range(5_000)},
}


@pytest.mark.parametrize("value", TOO_MUCH.values(), ids=TOO_MUCH)
def test_headers_are_counted_to_the_bottom_of_lists_and_tables(value):
    with pytest.raises(wire.Poison, match="too large"):
        wire.read_call({"call_id_stack": STACK, "x": value}, method="demo.echo")


def test_the_names_of_headers_are_counted_in_bytes_as_well():
    with pytest.raises(wire.Poison, match="too large"):
        wire.read_call({"一" * 6_000: "y"}, method="demo.echo")


def test_headers_nested_as_deep_as_they_come_are_counted_too():
    value = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(wire.Poison, match="too large"):
        wire.read_call({"x": value}, method="demo.echo")
    while value:
        value = value.pop()


def test_a_call_stack_is_part_of_what_the_headers_may_hold():
    with pytest.raises(wire.Poison, match="too large"):
        wire.read_call({"call_id_stack": ["a" * 1024] * 64}, method="demo.echo")


def test_headers_such_as_callers_send_are_far_from_too_large():
    call = Call(
        request_id="r" * 128,
        deadline=Deadline(1_900_000_000_000),
        operation_id="o" * 1024,
        user_id="u" * 128,
        tracestate="t" * 512,
        call_id_stack=tuple(STACK),
        sent_at_ms=1_900_000_000_000,
    )

    assert wire.read_call(wire.write_call(call), method="demo.echo").call_id_stack == tuple(STACK)
