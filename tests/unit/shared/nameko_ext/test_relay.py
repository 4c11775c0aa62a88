"""When an event counts as published."""

from types import SimpleNamespace

import pytest

from shared.contracts.events import ORDER_PLACED, PRODUCT_CHANGED
from shared.nameko_ext.publishing import CONFIRMED, LOST, NACKED, UNROUTABLE, Confirmation
from shared.nameko_ext.relay import has_arrived


def counts(event_type, fate):
    confirmation = Confirmation()
    confirmation.settle(fate)
    return has_arrived(SimpleNamespace(service=event_type.service, type=event_type.name), confirmation)


@pytest.mark.parametrize("event_type", [ORDER_PLACED, PRODUCT_CHANGED])
def test_an_event_is_published_when_the_broker_says_so_and_not_before(event_type):
    assert [counts(event_type, fate) for fate in (CONFIRMED, NACKED, LOST)] == [True, False, False]


def test_an_order_that_nobody_can_be_told_of_yet_waits():
    assert not counts(ORDER_PLACED, UNROUTABLE)


def test_an_event_that_nobody_needs_to_hear_is_no_obstacle():
    assert counts(PRODUCT_CHANGED, UNROUTABLE)
