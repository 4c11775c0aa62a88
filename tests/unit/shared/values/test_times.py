from datetime import UTC, datetime, timedelta, timezone

from shared.values.times import from_rfc3339, to_rfc3339


def test_times_are_written_in_utc_with_z_and_read_back_the_same():
    moment = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=2)))

    text = to_rfc3339(moment)

    assert text == "2026-02-03T02:05:06.000007Z"
    assert from_rfc3339(text) == moment.astimezone(UTC)
