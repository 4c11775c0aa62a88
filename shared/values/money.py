"""Money: integer minor units inside, a decimal string with exactly the currency's exponent outside."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

EXPONENTS = {
    "EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "INR": 2, "SEK": 2, "NOK": 2, "DKK": 2, "PLN": 2, "CZK": 2, "CAD": 2,
    "AUD": 2, "NZD": 2, "SGD": 2, "CNY": 2, "BRL": 2, "MXN": 2, "ZAR": 2, "TRY": 2, "JPY": 0, "KRW": 0, "CLP": 0,
    "KWD": 3, "BHD": 3, "TND": 3,
}  # fmt: skip
"""ISO 4217 minor-unit exponents of the currencies the shop takes."""

LARGEST = 10**15


class NotMoney(ValueError):
    """The text is not an amount of this currency, or the currency is not taken."""


@dataclass(frozen=True, order=False)
class Money:
    """An exact amount. Sums across currencies are refused with :class:`NotMoney`."""

    minor_units: int
    currency: str

    @classmethod
    def parse(cls, amount: str, currency: str) -> Money:
        """Read ``"25.99"``; the exponent must be exactly the currency's. Raises :class:`NotMoney`."""
        if currency not in EXPONENTS:
            raise NotMoney(f"The shop does not take {currency[:3]!r}.")
        exponent = EXPONENTS[currency]
        try:
            decimal = Decimal(amount)
        except InvalidOperation:
            raise NotMoney("This is not an amount of money.") from None
        if not decimal.is_finite() or -int(decimal.as_tuple().exponent) != exponent:
            raise NotMoney(f"An amount in {currency} has exactly {exponent} decimals.")
        minor_units = int(decimal.scaleb(exponent))
        if abs(minor_units) > LARGEST:
            raise NotMoney("This amount is too large.")
        return cls(minor_units, currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Nothing, in this currency."""
        return cls(0, currency)

    def __add__(self, other: Money) -> Money:
        """Exact sum; raises :class:`NotMoney` across currencies."""
        if other.currency != self.currency:
            raise NotMoney("Amounts in different currencies cannot be added.")
        return Money(self.minor_units + other.minor_units, self.currency)

    def times(self, quantity: int) -> Money:
        """So many of it."""
        return Money(self.minor_units * quantity, self.currency)

    def __str__(self) -> str:
        """The decimal string of the wire, without the currency."""
        exponent = EXPONENTS[self.currency]
        if exponent == 0:
            return str(self.minor_units)
        sign = "-" if self.minor_units < 0 else ""
        whole, part = divmod(abs(self.minor_units), 10**exponent)
        return f"{sign}{whole}.{part:0{exponent}d}"
