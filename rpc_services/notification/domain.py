"""What is true of a message to a customer: it is written once, sent until it arrives, and given up in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

State = Literal["queued", "sending", "sent", "failed", "dead"]

EMAIL = "email"

NAMESPACE = UUID("4d0c3f2e-6a55-4f0a-9f3a-7a1c7f4f5e21")
"""Of messages' ids; drawn once, and never to be changed."""

LADDER = tuple(timedelta(seconds=each) for each in (1, 2, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200))
"""Pauses between tries: quick while a server restarts, then about a day and a half of patience."""

JITTER = 0.2


@dataclass(frozen=True)
class Lease:
    """Whoever claimed a message has ``whole`` to send it; then another may. ``least`` must be left to begin with it."""

    whole: timedelta
    least: timedelta


def lease_for(answer: timedelta) -> Lease:
    """For a mail server that may take so long for each of the five answers it gives to one message."""
    return Lease(whole=12 * answer, least=6 * answer)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What is said: a subject and a plain text."""

    subject: str
    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Who is told, and at which address they were known then."""

    user_id: str
    address: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message to one person on one channel because of one event; of those four there is never a second."""

    id: str
    event_id: str
    event: str
    about: str
    request_id: str
    template: str
    recipient: Recipient
    letter: Letter
    channel: str = EMAIL
    state: State = "queued"
    attempts: int = 0
    due_at: datetime
    created_at: datetime
    sent_at: datetime | None = None

    @property
    def message_id(self) -> str:
        """The same for every try, also of a shop brought up from a back-up, so that a mailbox can tell a repetition."""
        what = f"{self.about}/{self.recipient.user_id}/{self.channel}/{self.template}"
        return f"<{uuid5(NAMESPACE, what)}@kirana.localhost>"

    def may_begin(self, at: datetime, lease: Lease) -> bool:
        """Whether enough of the lease under which it was claimed is left to send it."""
        return self.due_at - at >= lease.least


def due_again(attempts: int, at: datetime, *, chance: float) -> datetime | None:
    """When to try again after so many failed tries (``chance`` is in 0…1); ``None`` when it is time to give up."""
    if attempts > len(LADDER):
        return None
    return at + LADDER[max(attempts, 1) - 1] * (1 - JITTER + 2 * JITTER * chance)
