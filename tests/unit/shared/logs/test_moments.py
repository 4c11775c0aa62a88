from shared.logs.moments import SECOND, Moments

NEW_YEAR_2026 = 1_767_225_600 * SECOND


def said_at(*moments):
    given = iter(moments)
    said = Moments(lambda: next(given))
    return [said.now() for _ in moments]


def test_a_moment_is_told_to_the_microsecond_with_all_its_zeros():
    assert said_at(NEW_YEAR_2026, NEW_YEAR_2026 + 12_345) == [
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:00:00.000012Z",
    ]


def test_the_date_follows_the_clock_over_a_midnight_and_back():
    late = NEW_YEAR_2026 - 1

    assert said_at(late, NEW_YEAR_2026, late) == [
        "2025-12-31T23:59:59.999999Z",
        "2026-01-01T00:00:00.000000Z",
        "2025-12-31T23:59:59.999999Z",
    ]
