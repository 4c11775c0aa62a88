import pytest

from shared.resilience.stock import STOCK_SECONDS, Stock


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stock(clock):
    return Stock("catalog", clock=clock)


def test_of_a_service_that_was_never_sent_a_frame_nothing_is_known(stock):
    assert not stock.is_known


@pytest.mark.parametrize(("seconds", "is_known"), [(STOCK_SECONDS - 1, True), (STOCK_SECONDS, False)])
def test_what_knew_no_frames_is_believed_to_for_a_while(stock, clock, seconds, is_known):
    stock.note()
    clock.now += seconds

    assert stock.is_known is is_known


def test_what_still_knows_none_is_believed_to_for_another_while(stock, clock):
    stock.note()
    clock.now += STOCK_SECONDS + 1
    stock.note()
    clock.now += STOCK_SECONDS - 1

    assert stock.is_known


def test_what_the_broker_forbids_is_tried_no_more_whatever_is_noted_after(stock, clock):
    stock.note(is_forbidden=True)
    stock.note()
    clock.now += 1000 * STOCK_SECONDS

    assert stock.is_known
