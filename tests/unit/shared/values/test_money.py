import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.values.money import EXPONENTS, Money, NotMoney


@given(st.integers(-(10**12), 10**12), st.sampled_from(sorted(EXPONENTS)))
def test_what_is_written_reads_back_as_the_same_money(minor_units, currency):
    money = Money(minor_units, currency)

    assert Money.parse(str(money), currency) == money


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("25.9", "EUR"), ("25.999", "EUR"), ("25", "EUR"), ("1.0", "JPY"), ("1e3", "EUR"), ("NaN", "EUR"),
        ("Infinity", "EUR"), ("", "EUR"), ("25.99", "XXX"), ("99999999999999999.00", "EUR"),
    ],
)  # fmt: skip
def test_an_amount_without_exactly_the_exponent_of_its_currency_is_refused(amount, currency):
    with pytest.raises(NotMoney):
        Money.parse(amount, currency)


def test_sums_across_currencies_are_refused():
    with pytest.raises(NotMoney):
        Money.parse("1.00", "EUR") + Money.parse("1.00", "USD")


def test_a_line_total_is_exact():
    assert str(Money.parse("0.10", "EUR").times(3)) == "0.30"
    assert str(Money.parse("100", "JPY").times(3)) == "300"
    assert str(Money.parse("1.005", "KWD").times(2)) == "2.010"
