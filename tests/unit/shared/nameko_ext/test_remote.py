import time
from datetime import timedelta

import msgspec
import pytest
from msgspec import Raw

from shared.contracts import catalog
from shared.contracts.catalog import OutOfStock
from shared.contracts.frames import FramedReply
from shared.contracts.refusals import DeadlinePassed, Internal, OutcomeUnknown, Unavailable
from shared.messaging.call import Call, serving
from shared.metrics.counting import registry
from shared.nameko_ext.failures import Blame, NobodyKnows, NotExecuted, Unreadable
from shared.nameko_ext.remote import RemoteService, fingerprint_of, read_reply
from shared.resilience.deadline import Deadline

MILLISECOND = 0.001
"""A deadline is told in whole ones, rounded down."""

RELEASE = catalog.ReleaseStock(order_id="o-1")
NULL = Raw(b"null")


class FakeAsking:
    """Answers everything, or fails it."""

    def __init__(self, failure=None):
        self.asked = []
        self.failure = failure

    def ask(self, service, question):
        assert service == "catalog"
        self.asked.append(question)
        if self.failure is not None:
            raise self.failure
        return FramedReply("1", Raw(b"{}"), NULL)


def release(asking, *, seconds=None, patience=timedelta(seconds=5), **more):
    deadline = None if seconds is None else Deadline.after(timedelta(seconds=seconds))
    with serving(Call(request_id="r", operation_id="user/key", deadline=deadline)):
        return RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE, patience=patience, **more)


@pytest.mark.parametrize(("own", "patience", "least"), [(2, 5, 2), (5, 2, 2), (None, 2, 2)])
def test_the_earlier_of_deadline_and_patience_counts(own, patience, least):
    asking = FakeAsking()

    before = time.time()
    release(asking, seconds=own, patience=timedelta(seconds=patience))
    after = time.time()

    (question,) = asking.asked
    assert before + least - MILLISECOND <= question.call.deadline.epoch_ms / 1000 <= after + least


@pytest.mark.parametrize(("left", "until"), [(2.0, 1.9), (0.1, 0.05)])
def test_waiting_ends_in_time_to_tell_our_own_caller(left, until):
    asking = FakeAsking()

    before = time.monotonic()
    release(asking, seconds=left)
    after = time.monotonic()

    assert before + until - 2 * MILLISECOND <= asking.asked[0].until <= after + until + MILLISECOND


def test_a_change_always_carries_an_operation_id_and_its_fingerprint():
    asking = FakeAsking()

    with serving(Call(request_id="r", operation_id="user/key", fingerprint="of the first request")):
        RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE)
        RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE, operation_id="order/o-1/release")

    derived, given = (question.call for question in asking.asked)
    assert derived.operation_id == "user/key/catalog.release_stock"
    assert given.operation_id == "order/o-1/release"
    assert derived.fingerprint == given.fingerprint == fingerprint_of(RELEASE)


def test_a_change_that_nobody_named_is_not_asked_for_under_the_request_id_of_some_client():
    asking = FakeAsking()

    with (
        serving(Call(request_id="a whole page view", method="demo.on_event")),
        pytest.raises(TypeError, match=r"demo\.on_event"),
    ):
        RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE)

    assert asking.asked == []


def test_whoever_handles_two_events_of_one_request_names_two_changes_and_each_again_by_the_same_name():
    asking = FakeAsking()

    for event_id in ("e-1", "e-2", "e-1"):
        with serving(Call(request_id="a whole page view", method="demo.on_event")):
            RemoteService("catalog", asking).call(catalog.RELEASE_STOCK, RELEASE, operation_id=f"event/{event_id}")

    assert [question.call.operation_id for question in asking.asked] == ["event/e-1", "event/e-2", "event/e-1"]


def test_a_read_needs_no_name():
    asking = FakeAsking()

    with serving(Call(request_id="r", method="demo.on_event")):
        RemoteService("catalog", asking).call(catalog.LIST_SKUS, catalog.ListSkus(skus=[]))

    assert [question.call.operation_id for question in asking.asked] == [None]


def test_nothing_is_asked_when_the_deadline_has_passed():
    asking = FakeAsking()

    with pytest.raises(DeadlinePassed):
        release(asking, seconds=-1)

    assert asking.asked == []


@pytest.mark.parametrize(
    ("failure", "refusal", "details"),
    [
        (NotExecuted("the breaker is open", 17, blame=Blame.CALLER), Unavailable, {"retry_after": 17}),
        (NobodyKnows("silence", blame=Blame.SERVICE), OutcomeUnknown, {}),
        (Unreadable("nonsense"), Internal, {}),
    ],
)
def test_each_failure_is_told_by_what_is_known(failure, refusal, details):
    with pytest.raises(refusal) as told:
        release(FakeAsking(failure))

    assert told.value.details == details


def test_those_who_share_a_failure_are_not_told_by_the_same_exception():
    asking = FakeAsking(NobodyKnows("silence", blame=Blame.SERVICE))

    told = []
    for _ in range(2):
        with pytest.raises(OutcomeUnknown) as each:
            release(asking)
        told.append(each.value)

    assert told[0] is not told[1]


def test_a_refusal_comes_out_as_its_own_class():
    error = Raw(msgspec.json.encode(OutOfStock(shortages=[]).to_wire()))

    with pytest.raises(OutOfStock):
        read_reply(FramedReply("1", NULL, error), catalog.RESERVE_STOCK)


@pytest.mark.parametrize(
    ("result", "error"), [(b"5", b"null"), (b"1", b"[]"), (b"null", b"null"), (b"{}", b"null"), (b"null", b'"text"')]
)
def test_nonsense_is_internal(result, error):
    with pytest.raises(Internal):
        read_reply(FramedReply("1", Raw(result), Raw(error)), catalog.GET_PRODUCT)


def released(outcome):
    labels = {"service": "catalog", "method": "release_stock", "outcome": outcome}
    return registry.get_sample_value("kirana_rpc_calls_total", labels) or 0


def test_calls_between_services_count_under_what_the_caller_was_told():
    before = released("answered"), released("not_executed"), released("unknown")

    release(FakeAsking())
    with pytest.raises(DeadlinePassed):
        release(FakeAsking(), seconds=-1)
    with pytest.raises(OutcomeUnknown):
        release(FakeAsking(NobodyKnows("silence", blame=Blame.SERVICE)))

    after = released("answered"), released("not_executed"), released("unknown")
    assert after == tuple(count + 1 for count in before)
