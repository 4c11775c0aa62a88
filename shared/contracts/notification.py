"""Contract of the notification service: what was sent to whom, and whether it arrived."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.contracts.method import Answer, Methods, Request

METHODS = Methods("notification")


class Notification(Answer, frozen=True, kw_only=True):
    """One message to one person on one channel."""

    id: str
    event: str
    channel: str
    template: str
    state: str
    created_at: str
    sent_at: str | None


class ListNotifications(Request, frozen=True, kw_only=True):
    """What was sent to this user, newest first."""

    user_id: str
    cursor: Annotated[str, Meta(max_length=1000)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class NotificationPage(Answer, frozen=True, kw_only=True):
    """Notifications in order, and where to go on (``None``: this is the end)."""

    items: list[Notification]
    next_cursor: str | None


class AuditDeliveries(Request, frozen=True, kw_only=True):
    """Delivery states of the confirmations of these orders, for the checker."""

    order_ids: Annotated[list[str], Meta(max_length=5000)]


class DeliveriesAudit(Answer, frozen=True, kw_only=True):
    """Per order id the states of its confirmation mails; one ``sent`` each is right."""

    confirmations: dict[str, list[str]]


LIST_NOTIFICATIONS = METHODS.reads("list_notifications", ListNotifications, NotificationPage)
AUDIT_DELIVERIES = METHODS.reads("audit_deliveries", AuditDeliveries, DeliveriesAudit, operator_only=True)
