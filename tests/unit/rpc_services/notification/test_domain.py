from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc_services.notification.domain import JITTER, LADDER, due_again, lease_for
from tests.fakes.notification import NOON, a_delivery


def test_the_first_retry_comes_within_seconds_and_patience_lasts_a_day():
    assert due_again(1, NOON, chance=0.5) == NOON + timedelta(seconds=1)
    assert sum(LADDER, timedelta()) > timedelta(days=1)


def test_after_the_last_rung_it_is_given_up():
    assert due_again(len(LADDER), NOON, chance=0.5)
    assert due_again(len(LADDER) + 1, NOON, chance=0.5) is None


@given(st.integers(0, len(LADDER)), st.floats(0, 1))
def test_a_retry_is_never_far_from_its_rung(attempts, chance):
    pause = due_again(attempts, NOON, chance=chance) - NOON

    assert (
        LADDER[max(attempts, 1) - 1] * (1 - JITTER - 0.01)
        <= pause
        <= LADDER[max(attempts, 1) - 1] * (1 + JITTER + 0.01)
    )


def test_a_message_has_one_id_for_all_its_tries_also_where_its_row_was_lost_and_made_again():
    first = a_delivery(about="order-1", user_id="anna")

    assert a_delivery(about="order-1", user_id="anna", attempts=7).message_id == first.message_id
    assert a_delivery(about="order-2", user_id="anna").message_id != first.message_id


def test_nothing_is_begun_when_the_lease_is_almost_over():
    lease = lease_for(timedelta(seconds=5))
    delivery = a_delivery(due_at=NOON + lease.whole)

    assert delivery.may_begin(NOON, lease)
    assert not delivery.may_begin(NOON + lease.whole - lease.least + timedelta(seconds=1), lease)


@pytest.mark.parametrize("seconds", [1, 5, 60])
def test_a_mail_server_that_takes_its_time_for_every_answer_ends_within_the_lease(seconds):
    answer = timedelta(seconds=seconds)
    lease = lease_for(answer)

    assert 5 * answer < lease.least < lease.whole


def test_what_prints_a_delivery_prints_no_address_and_no_text():
    assert "anna@" not in repr(a_delivery())
    assert "Thank you" not in repr(a_delivery())
