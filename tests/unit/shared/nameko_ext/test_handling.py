from shared.nameko_ext.handling import MOST_OUTAGE_ATTEMPTS, next_delay_ms


def test_a_failing_event_waits_longer_each_time_and_is_then_parked():
    assert [next_delay_ms(n, is_outage=False) for n in range(4)] == [1_000, 5_000, 30_000, None]


def test_an_outage_is_waited_out_but_not_for_ever():
    assert next_delay_ms(50, is_outage=True) == 30_000
    assert next_delay_ms(MOST_OUTAGE_ATTEMPTS, is_outage=True) is None
