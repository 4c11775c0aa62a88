"""Puts notification together: which use case works with which collaborators, and nothing else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session as Transaction

from rpc_services.notification.domain import Delivery, State, lease_for
from rpc_services.notification.letters import TemplateLetters
from rpc_services.notification.mailer import SmtpMailer, connect
from rpc_services.notification.settings import Settings, read_settings
from rpc_services.notification.storage import SqlClaims, SqlDeliveries
from rpc_services.notification.use_cases import TEMPLATES, AddressOf, Clerk, Postman
from shared.contracts.events import EVENT_TYPES, EventType
from shared.messaging.transactions import Scope
from shared.values.identifiers import new_id
from shared.values.times import now

log = structlog.get_logger()


@dataclass(frozen=True)
class Assembly:
    """What lives as long as the process, and how everything that lives for one call is made of it."""

    settings: Settings
    letters: TemplateLetters

    def clerk(self, transaction: Transaction, address_of: AddressOf, on_queued: Callable[[], None]) -> Clerk:
        """Writes messages in this transaction."""
        return Clerk(SqlDeliveries(transaction, on_queued), self.letters, address_of, now, new_id)

    def postman(self, transactions: Scope) -> Postman:
        """Sends messages, each in transactions of its own."""
        server = self.settings.mail_server
        mailer = SmtpMailer(server, self.settings.mail_from, connect)
        lease = lease_for(timedelta(seconds=server.answer_seconds))
        return Postman(SqlClaims(transactions.writing), mailer, now, random.random, report, time.sleep, lease)


def report(delivery: Delivery, state: State, reason: str) -> None:
    """One line per try, found by the request that caused it; never to whom it goes."""
    fields = {
        "http.request.id": delivery.request_id,
        "delivery_id": delivery.id,
        "about": delivery.about,
        "attempts": delivery.attempts,
        "reason": reason,
    }
    if state == "sent":
        log.info("delivery.sent", **fields)
    else:
        log.warning("delivery.not_sent", state=state, **fields)


class UnknownEvent(Exception):
    """A door waits for an event that nobody publishes: it would be silent for ever."""


def known(event_type: EventType) -> EventType:
    """The event, if the shop has it. Raises :class:`UnknownEvent` when the process starts."""
    if event_type not in EVENT_TYPES:
        raise UnknownEvent(event_type.name)
    return event_type


def assemble(environment: Mapping[str, str]) -> Assembly:
    """Read the settings and every template. Raises ``BadSettings``, or Jinja's faults for a template."""
    return Assembly(read_settings(environment), TemplateLetters(TEMPLATES))
