"""Gathers what the services, the mailbox and the buyers say, so that it can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from kirana.calls import Calls
from kirana.mail_sink import Mailbox
from shared.contracts import catalog, notification, order

PAGE = 5000
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Acknowledged:
    """An order that a buyer was told is placed, under the Idempotency-Key it was sent with."""

    key: str
    order_id: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything an audit compares. ``confirmations`` are delivery states by order id.

    ``mails`` is ``None`` where there is no mailbox to look into.
    """

    orders: Sequence[order.AuditedOrder]
    duplicates: Sequence[str]
    stock: catalog.StockAudit
    reservations: Mapping[str, str]
    confirmations: Mapping[str, Sequence[str]]
    mails: Sequence[Mapping[str, Any]] | None
    outboxes: Mapping[str, float]
    acknowledged: Sequence[Acknowledged] | None = None


class BadHistory(Exception):
    """The file of acknowledged orders cannot be read."""


def gather(calls: Calls, mailbox: Mailbox | None, acknowledged: Sequence[Acknowledged] | None) -> Evidence:
    """Ask everybody. Raises the services' refusals."""
    orders, last = _orders(calls)
    stock, reservations = _stock(calls)
    confirmations: dict[str, Sequence[str]] = {}
    ids = [item.id for item in orders if item.status in {"confirmed", "cancelled"}]
    for start in range(0, len(ids), PAGE):
        asked = notification.AuditDeliveries(order_ids=ids[start : start + PAGE])
        answer: notification.DeliveriesAudit = _ask(calls, notification.AUDIT_DELIVERIES, asked)
        confirmations |= answer.confirmations
    return Evidence(
        orders=orders,
        duplicates=last.duplicates,
        stock=stock,
        reservations=reservations,
        confirmations=confirmations,
        mails=None if mailbox is None else mailbox.mails(),
        outboxes={"order": last.oldest_outbox_seconds, "catalog": stock.oldest_outbox_seconds},
        acknowledged=acknowledged,
    )


def read_acknowledged(path: Path) -> list[Acknowledged]:
    """Read a load driver's history: one JSON object a line with ``key`` and ``order_id``.

    Lines without an ``order_id`` were not acknowledged and do not count. Raises :class:`BadHistory`.
    """
    found = []
    try:
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            entry = orjson.loads(line) if line.strip() else {}
            if entry.get("order_id"):
                found.append(Acknowledged(str(entry.get("key") or f"line {number}"), str(entry["order_id"])))
    except (OSError, AttributeError, orjson.JSONDecodeError) as fault:
        raise BadHistory(f"{path} is no history of orders: {fault}") from None
    return found


def _orders(calls: Calls) -> tuple[list[order.AuditedOrder], order.OrdersAudit]:
    found: list[order.AuditedOrder] = []
    while True:
        after = found[-1].id if found else ""
        page: order.OrdersAudit = _ask(calls, order.AUDIT_ORDERS, order.AuditOrders(after_order_id=after, limit=PAGE))
        found += page.orders
        if len(page.orders) < PAGE:
            return found, page


def _stock(calls: Calls) -> tuple[catalog.StockAudit, dict[str, str]]:
    found: dict[str, str] = {}
    while True:
        request = catalog.AuditStock(after_order_id=max(found, default=""), limit=PAGE)
        page: catalog.StockAudit = _ask(calls, catalog.AUDIT_STOCK, request)
        found |= page.reservations
        if len(page.reservations) < PAGE:
            return page, found


def _ask(calls: Calls, method: Any, request: Any) -> Any:
    return calls.call(method, request, timeout=ANSWER_SECONDS)
