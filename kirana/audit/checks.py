"""What must be true of the shop once nothing is in flight; each check names every case in which it is not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kirana.audit.evidence import Evidence

OLDEST_OUTBOX_SECONDS = 10.0
_ORDER_NUMBER = re.compile(r"\bOrder ([0-9A-Za-z-]+)")
_GIVEN_BACK = {None, "released", "expired"}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check: how many cases were looked at, and what is wrong with which."""

    name: str
    checked: int
    faults: list[str]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def findings(evidence: Evidence) -> list[Finding]:
    """Run every check."""
    return [check(evidence) for check in CHECKS]


def acknowledged_orders_are_there(evidence: Evidence) -> Finding:
    """Whoever was told that an order is placed has one, and one only."""
    name = "acknowledged orders are there, once"
    statuses = {item.id: item.status for item in evidence.orders}
    if evidence.acknowledged is None:
        return Finding(name, sum(status == "confirmed" for status in statuses.values()), [])
    orders_of_key: dict[str, set[str]] = defaultdict(set)
    keys_of_order: dict[str, set[str]] = defaultdict(set)
    for entry in evidence.acknowledged:
        orders_of_key[entry.key].add(entry.order_id)
        keys_of_order[entry.order_id].add(entry.key)
    faults = [
        f"{order_id} was acknowledged but is {statuses.get(order_id, 'missing')}"
        for order_id in keys_of_order
        if statuses.get(order_id) not in {"confirmed", "cancelled"}
    ]
    faults += [f"key {key} has {len(ids)} orders: {', '.join(sorted(ids))}" for key, ids in _several(orders_of_key)]
    faults += [f"order {order_id} answers {len(keys)} keys" for order_id, keys in _several(keys_of_order)]
    return Finding(name, len(keys_of_order), faults)


def nothing_is_doubled(evidence: Evidence) -> Finding:
    """One order per operation, one number per order."""
    faults = [f"made twice: {item}" for item in evidence.duplicates]
    for what, values in (
        ("id", (item.id for item in evidence.orders)),
        ("number", (item.number for item in evidence.orders)),
        ("operation", (item.operation_id for item in evidence.orders if item.operation_id)),
    ):
        faults += [f"{what} {value} belongs to {count} orders" for value, count in _repeated(values)]
    return Finding("no order is doubled", len(evidence.orders), faults)


def nothing_is_stuck(evidence: Evidence) -> Finding:
    """Every order came to an end."""
    pending = [item for item in evidence.orders if item.status == "pending"]
    faults = [f"{item.id} is pending for {item.age_seconds:.0f} s" for item in pending]
    return Finding("no order is stuck half-way", len(evidence.orders), faults)


def confirmed_orders_have_their_goods(evidence: Evidence) -> Finding:
    """What was confirmed was sold to that order."""
    confirmed = _ids(evidence, "confirmed")
    faults = [
        f"{order_id} is confirmed, its stock is {evidence.reservations.get(order_id, 'not reserved')}"
        for order_id in confirmed
        if evidence.reservations.get(order_id) != "sold"
    ]
    return Finding("confirmed orders have their stock", len(confirmed), faults)


def ended_orders_gave_their_goods_back(evidence: Evidence) -> Finding:
    """What was cancelled or rejected holds nothing, and nothing is held for an order that does not exist."""
    ended = [*_ids(evidence, "cancelled"), *_ids(evidence, "rejected")]
    known = {item.id for item in evidence.orders}
    faults = [
        f"{order_id} has ended, its stock is {evidence.reservations[order_id]}"
        for order_id in ended
        if evidence.reservations.get(order_id) not in _GIVEN_BACK
    ]
    faults += [
        f"stock is {held} for {order_id}, which is no order"
        for order_id, held in evidence.reservations.items()
        if order_id not in known and held not in _GIVEN_BACK
    ]
    return Finding("ended orders gave their stock back", len(ended), faults)


def confirmed_orders_were_announced(evidence: Evidence) -> Finding:
    """One confirmation per confirmed order was sent and arrived; a cancelled one has at most one.

    Without a mailbox to look into, whether they arrived is left out.
    """
    arrived = None if evidence.mails is None else Counter(_confirmed_numbers(evidence.mails))
    faults = []
    for item in evidence.orders:
        if item.status not in {"confirmed", "cancelled"}:
            continue
        is_needed = item.status == "confirmed"
        states = list(evidence.confirmations.get(item.id, []))
        if states != ["sent"] and (is_needed or len(states) > 1):
            faults.append(f"{item.id}: its confirmations are {states or 'missing'}")
        if arrived is not None and arrived[item.number] != 1 and (is_needed or arrived[item.number]):
            faults.append(f"{item.id}: {arrived[item.number]} confirmation mails for Order {item.number} arrived")
    return Finding("confirmed orders were announced, once", len(_ids(evidence, "confirmed")), faults)


def stock_adds_up(evidence: Evidence) -> Finding:
    """The catalog finds no fault in its books, and they agree with the orders."""
    faults = list(evidence.stock.violations)
    ordered = sum(item.units for item in evidence.orders if item.status == "confirmed")
    if ordered != evidence.stock.units_sold:
        faults.append(f"{ordered} units are in confirmed orders, {evidence.stock.units_sold} were sold")
    return Finding("stock adds up", evidence.stock.products, faults)


def nothing_waits_in_an_outbox(evidence: Evidence) -> Finding:
    """Events leave within seconds."""
    faults = [
        f"the oldest event of {service} waits for {age:.0f} s"
        for service, age in evidence.outboxes.items()
        if age > OLDEST_OUTBOX_SECONDS
    ]
    return Finding("no event is left in an outbox", len(evidence.outboxes), faults)


CHECKS: Sequence[Callable[[Evidence], Finding]] = (
    acknowledged_orders_are_there,
    nothing_is_doubled,
    nothing_is_stuck,
    confirmed_orders_have_their_goods,
    ended_orders_gave_their_goods_back,
    confirmed_orders_were_announced,
    stock_adds_up,
    nothing_waits_in_an_outbox,
)


def _ids(evidence: Evidence, status: str) -> list[str]:
    return [item.id for item in evidence.orders if item.status == status]


def _confirmed_numbers(mails: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for mail in mails:
        subject = str(mail.get("subject", ""))
        match = _ORDER_NUMBER.search(subject)
        if match and "cancel" not in subject.lower():
            yield match.group(1)


def _several(groups: dict[str, set[str]]) -> list[tuple[str, set[str]]]:
    return [(name, members) for name, members in groups.items() if len(members) > 1]


def _repeated(values: Iterable[str]) -> list[tuple[str, int]]:
    return [(value, count) for value, count in Counter(values).items() if count > 1]
