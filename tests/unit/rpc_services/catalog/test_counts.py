import pytest

from rpc_services.catalog.counts import counting_holds
from shared.contracts.catalog import OutOfStock, ReservationLost
from shared.contracts.refusals import Unavailable
from shared.messaging.call import Call, Marks
from shared.metrics.counting import registry


def counted():
    outcomes = ("reserved", "short", "sold", "released", "lost")
    return {each: registry.get_sample_value("kirana_stock_holds_total", {"outcome": each}) or 0 for each in outcomes}


def growth(before):
    return {outcome: number - before[outcome] for outcome, number in counted().items() if number != before[outcome]}


def a_call(*, replayed=False):
    return Call(request_id="r", marks=Marks(replayed=replayed))


def test_a_hold_counts_when_all_is_done():
    before = counted()

    with counting_holds("reserved", a_call()):
        assert growth(before) == {}

    assert growth(before) == {"reserved": 1}


@pytest.mark.parametrize(
    ("refusal", "found"),
    [(OutOfStock(), {"short": 1}), (ReservationLost(), {"lost": 1}), (Unavailable(retry_after=1), {})],
    ids=["short", "lost", "away"],
)
def test_a_refusal_counts_as_what_it_says_of_the_stock(refusal, found):
    before = counted()

    with pytest.raises(type(refusal)), counting_holds("reserved", a_call()):
        raise refusal

    assert growth(before) == found


def test_a_repetition_counts_nothing():
    before = counted()

    with counting_holds("sold", a_call(replayed=True)):
        pass
    with pytest.raises(OutOfStock), counting_holds("reserved", a_call(replayed=True)):
        raise OutOfStock

    assert growth(before) == {}
