"""Which calls are given an operation id by what brought them, and when two of them are given the same."""

from types import SimpleNamespace

import pytest
from msgspec import Raw

from shared.contracts.frames import FramedCall
from shared.contracts.method import Method, Nothing, Request
from shared.messaging.call import Call
from shared.nameko_ext.recognising import recognisable
from shared.nameko_ext.sources import Frame, Framed, Lone
from shared.nameko_ext.wire import ReplyAddress

SELL = Method("shop", "sell", Request, Nothing, mutating=True)
LOOK = Method("shop", "look", Request, Nothing)
SECRET = Method("shop", "secret", Request, Nothing, mutating=True, keeps_answer=False)


def lone(*, reply_to="somebody", correlation_id="1", key="shop.sell", body=b"{}", redelivered=False):
    delivery = SimpleNamespace(routing_key=key, body=body, redelivered=redelivered)
    return Lone(None, delivery, ReplyAddress(reply_to, correlation_id))


def framed(*, reply_to="somebody", correlation_id="1", redelivered=False, **call):
    frame = Frame(None, SimpleNamespace(redelivered=redelivered), ReplyAddress(reply_to, correlation_id), 1)
    return Framed(frame, FramedCall(**{"id": "1", "method": "sell", "kwargs": Raw(b"{}"), "context": {}} | call))


def operation(source, method=SELL, *, service="shop", operation_id=None):
    call = Call(
        request_id="new", method=f"{service}.{method.name}", operation_id=operation_id, redelivered=source.redelivered
    )
    return recognisable(call, method, source).operation_id


@pytest.mark.parametrize("source", [lone, framed])
def test_what_the_broker_brings_again_is_the_same_operation(source):
    first = operation(source())

    assert first == operation(source(redelivered=True))
    assert first.startswith("message/")


def test_a_body_in_another_kind_of_buffer_is_the_same():
    assert operation(lone(body=memoryview(b"{}"))) == operation(lone())


@pytest.mark.parametrize(
    "other",
    [
        lone(correlation_id="2"),
        lone(reply_to="another"),
        lone(body=b'{"quantity": 2}'),
        lone(key="shop.sell_all"),
        lone(reply_to="somebody', '1", correlation_id=""" ', "shop.sell"""),
        lone(correlation_id="\ud800"),
        framed(correlation_id="2"),
        framed(reply_to="another"),
        framed(id="2"),
        framed(kwargs=Raw(b'{"quantity": 2}')),
        framed(method="sell_all"),
    ],
)
def test_another_call_is_another_operation(other):
    assert len({operation(other), operation(lone()), operation(framed())}) == 3


def test_the_same_part_of_a_frame_for_another_service_is_another_operation():
    assert operation(framed(), service="shop") != operation(framed(), service="store")


@pytest.mark.parametrize("source", [lone(), framed()])
@pytest.mark.parametrize(("method", "operation_id"), [(SELL, "42/key"), (LOOK, None), (SECRET, None)])
def test_calls_with_an_operation_id_and_reads_and_secrets_stay_as_they_are(source, method, operation_id):
    call = Call(request_id="new", method=method.routing_key, operation_id=operation_id)

    assert recognisable(call, method, source) is call


@pytest.mark.parametrize("correlation_id", [None, ""])
@pytest.mark.parametrize("source", [lone, framed])
def test_without_a_correlation_id_nothing_tells_one_call_from_another(source, correlation_id):
    assert operation(source(correlation_id=correlation_id)) is None


def test_it_has_no_fingerprint():
    call = Call(request_id="new", method="shop.sell")

    assert recognisable(call, SELL, lone()).fingerprint is None
