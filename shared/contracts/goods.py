"""What may be said of goods: each text with its form, and in words what that is; and whether amounts fit currencies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta, structs

from shared.contracts.checking import Faults, fits
from shared.contracts.method import Request
from shared.values.money import EXPONENTS, Money, NotMoney

IMAGE = r"^(https?://([A-Za-z0-9-]+\.)+[A-Za-z]{2,63}(:[0-9]{1,5})?(/[^\s\x00]*)?|/(?![/\\])[^\s\x00]*|)(?!\n)$"
"""No address of this machine or its network, where a page or a fetcher of pictures could be sent: no bare numbers."""

Amount = Annotated[
    str,
    Meta(
        max_length=16,
        pattern=r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,3})?(?!\n)$",
        description='An amount as text, like "25.99": at most twelve digits before the point and three after it.',
    ),
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$", description="Three capital letters (ISO 4217).")]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f]+(?!\n)$",
        description="Text of one line, without control characters.",
    ),
]
TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*(?!\n)$"
Description = Annotated[
    str, Meta(max_length=2500, pattern=TEXT, description="Text; of control characters only tabs and line breaks.")
]
"""At most 10,000 bytes on the wire: so an order's 200 lines, each with its whole product, are one message."""
Sku = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+(?!\n)$",
        description="Letters, digits, dots, underscores and hyphens.",
    ),
]
Image = Annotated[
    str,
    Meta(
        max_length=500,
        pattern=IMAGE,
        description="A path of this site (one leading slash), or an http(s) address with a host name; or nothing.",
    ),
]


class Amounts(Request, frozen=True, kw_only=True):
    """Base of what holds amounts of a currency that only the service knows."""

    amounts: ClassVar[tuple[str, ...]]

    @classmethod
    def beyond_its_fields(cls, given: Mapping[str, Any]) -> Faults:
        """Those that are none of any currency, too."""
        return faults_in_amounts(given, cls.amounts)


class Priced(Request, frozen=True, kw_only=True):
    """Base of what has the fields ``price`` and ``currency``."""

    @classmethod
    def beyond_its_fields(cls, given: Mapping[str, Any]) -> Faults:
        """What is wrong with the two together, too. Which currency is meant by none, perhaps only the service knows."""
        (default,) = (field.default for field in structs.fields(cls) if field.name == "currency")
        return faults_in_price({"currency": default, **given})


def faults_in_price(given: Mapping[str, Any]) -> Faults:
    """What can be said of ``price`` and ``currency``; a bad form is told as such already."""
    currency = given.get("currency")
    if not fits(currency, Currency):
        return faults_in_amounts(given, ["price"])
    if currency in EXPONENTS:
        return faults_in_amounts(given, ["price"], currency=currency)
    not_taken = {"pointer": "/currency", "detail": f"The shop does not take {currency}."}
    return [not_taken, *faults_in_amounts(given, ["price"])]


def faults_in_amounts(given: Mapping[str, Any], names: Collection[str], *, currency: str | None = None) -> Faults:
    """Of those of these fields that look like amounts: which are none of ``currency`` or, without one, of any."""
    return [
        {"pointer": f"/{name}", "detail": detail}
        for name in names
        if isinstance(given.get(name), str) and fits(given[name], Amount) and (detail := _unfit(given[name], currency))
    ]


def _unfit(amount: str, currency: str | None) -> str | None:
    if currency is None:
        is_amount = len(amount.partition(".")[2]) in EXPONENTS.values()
        return None if is_amount else "The shop takes no currency whose amounts have so many decimals."
    try:
        Money.parse(amount, currency)
    except NotMoney as fault:
        return str(fault)
    return None
