"""What notification does: writes messages because of events, posts them, and tells what became of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from rpc_services.notification.domain import Delivery, Lease, Letter, Recipient, State, due_again
from shared.contracts.events import Event, OrderCancelled, OrderPlaced
from shared.contracts.notification import (
    AuditDeliveries,
    DeliveriesAudit,
    ListNotifications,
    Notification,
    NotificationPage,
)
from shared.contracts.refusals import InvalidRequest, OutcomeUnknown, Refusal, Unavailable
from shared.values.identifiers import NewId, is_id
from shared.values.times import Clock, to_rfc3339

ORDER_CONFIRMED = "order_confirmed"
ORDER_CANCELLED = "order_cancelled"
TEMPLATES = (ORDER_CONFIRMED, ORDER_CANCELLED)


class Undeliverable(Exception):
    """The other side will never take this message; ``code`` is its SMTP reply, or 0."""

    def __init__(self, code: int = 0) -> None:
        super().__init__(f"The message was refused for good ({code}).")
        self.code = code


class NotNow(Exception):
    """The message may be taken later; ``reason`` names the fault, never a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The message was not taken ({reason}).")
        self.reason = reason


class Deliveries(Protocol):
    """Everything that was ever written to a customer."""

    def add(self, delivery: Delivery) -> bool:
        """Queue it. Gives whether it was new: the same event never makes a second one."""
        ...

    def page_of(self, user_id: str, *, before: str | None, limit: int) -> Sequence[Delivery]:
        """The user's, newest first, older than this id."""
        ...

    def states_about(self, subjects: Collection[str], template: str) -> Mapping[str, list[str]]:
        """Per subject the states of the messages of this template, if there are any."""
        ...


class Claims(Protocol):
    """The queue as postmen see it. Every call is kept at once."""

    def claim(self, *, limit: int, at: datetime, until: datetime) -> Sequence[Delivery]:
        """Those that are due, for this postman alone until the lease ends."""
        ...

    def settle(self, claimed: Delivery, state: State, *, at: datetime, due_at: datetime) -> bool:
        """Say what became of it. Gives whether the claim still held; if not, nothing is changed.

        The same may be said again, which is as good as once.
        """
        ...

    def give_back(self, unbegun: Collection[Delivery], *, at: datetime) -> None:
        """As if these had not been claimed: due from now on, and of their tries none is spent. Only while it held."""
        ...


class Mailer(Protocol):
    """Hands messages to a mail server."""

    def send(self, delivery: Delivery) -> None:
        """Returns when the server has taken it. Raises :class:`Undeliverable` or :class:`NotNow`."""
        ...

    def close(self) -> None:
        """Let go of the server until the next message."""
        ...


class Letters(Protocol):
    """The shop's words."""

    def write(self, template: str, data: Mapping[str, Any]) -> Letter:
        """The letter of this template about this."""
        ...


AddressOf = Callable[[str], str]
"""A user's address by id. Raises when it cannot be had: then the event is handled again later."""


@dataclass(frozen=True)
class Clerk:
    """Writes the messages that events call for."""

    deliveries: Deliveries
    letters: Letters
    address_of: AddressOf
    clock: Clock
    new_id: NewId

    def confirm_order(self, event: Event, order: OrderPlaced) -> bool:
        """Tell the customer that their order is confirmed. Gives whether that is news.

        Events have no order here: who was told of the cancellation is not told afterwards that the order is on its way.
        """
        if self.deliveries.states_about([order.order_id], ORDER_CANCELLED):
            return False
        return self._write(event, order, ORDER_CONFIRMED)

    def confirm_cancellation(self, event: Event, order: OrderCancelled) -> bool:
        """Tell the customer that their order is cancelled. Gives whether that is news."""
        return self._write(event, order, ORDER_CANCELLED)

    def _write(self, event: Event, order: OrderPlaced | OrderCancelled, template: str) -> bool:
        at = self.clock()
        delivery = Delivery(
            id=self.new_id(),
            event_id=event.event_id,
            event=event.type,
            about=order.order_id,
            request_id=event.request_id,
            template=template,
            recipient=Recipient(user_id=order.user_id, address=self.address_of(order.user_id)),
            letter=self.letters.write(template, msgspec.to_builtins(order)),
            due_at=at,
            created_at=at,
        )
        return self.deliveries.add(delivery)


SETTLE_AGAIN_SECONDS = 0.5

Report = Callable[[Delivery, State, str], None]
"""Hears of each delivery what became of it, and why."""


@dataclass
class Postman:
    """Takes what is due to the mail server, for one run at a time.

    ``chance`` gives numbers in 0…1 for the jitter of retries; ``pause`` waits so many seconds.
    """

    claims: Claims
    mailer: Mailer
    clock: Clock
    chance: Callable[[], float]
    report: Report
    pause: Callable[[float], None]
    lease: Lease
    _unbegun: deque[Delivery] = field(default_factory=deque, init=False)
    _is_leaving: bool = field(default=False, init=False)

    def do_rounds(self, *, batch: int, at_most: timedelta) -> None:
        """Post what is due, round after round, but begin none after ``at_most``."""
        last_start = self.clock() + at_most
        while self.do_round(batch=batch) == batch and self.clock() < last_start and not self._is_leaving:
            pass

    def do_round(self, *, batch: int) -> int:
        """Claim one batch and post it; what the lease is too short for is given back. Gives the size of it."""
        at = self.clock()
        self._unbegun.extend(self.claims.claim(limit=batch, at=at, until=at + self.lease.whole))
        size = len(self._unbegun)
        try:
            while self._may_begin_another():
                self._post(self._unbegun.popleft())
        finally:
            self.mailer.close()
            self._give_back()
        return size

    def leave(self) -> None:
        """Begin no further letter, and let others have those at once. The one in hand is finished by who has it."""
        self._is_leaving = True
        self._give_back()

    def _may_begin_another(self) -> bool:
        if self._is_leaving or not self._unbegun:
            return False
        return self._unbegun[0].may_begin(self.clock(), self.lease)

    def _give_back(self) -> None:
        """Where that fails, they are due when the lease ends, with a try less."""
        unbegun = list(self._unbegun)
        self._unbegun.clear()
        if unbegun:
            with suppress(Refusal):
                self.claims.give_back(unbegun, at=self.clock())

    def _post(self, delivery: Delivery) -> None:
        try:
            self.mailer.send(delivery)
        except Undeliverable as fault:
            self._settle(delivery, "failed", str(fault.code))
        except NotNow as fault:
            again = due_again(delivery.attempts, self.clock(), chance=self.chance())
            self._settle(delivery, "queued" if again else "dead", fault.reason, due_at=again)
        else:
            self._settle(delivery, "sent", "")

    def _settle(self, delivery: Delivery, state: State, reason: str, *, due_at: datetime | None = None) -> None:
        held = self._note(delivery, state, due_at)
        self.report(delivery, state, reason if held else "the lease had ended")

    def _note(self, delivery: Delivery, state: State, due_at: datetime | None) -> bool:
        """Write down what became of it; while the database is away, keep trying as long as the lease lasts.

        Giving up sooner would leave a letter that was sent to be sent again. Raises ``Unavailable`` after that, or
        ``OutcomeUnknown``.
        """
        while True:
            at = self.clock()
            try:
                return self.claims.settle(delivery, state, at=at, due_at=due_at or at)
            except (Unavailable, OutcomeUnknown):
                if at >= delivery.due_at:
                    raise
                self.pause(SETTLE_AGAIN_SECONDS)


class Shift:
    """As long as it lasts, postmen go out, one after another; when it ends, the one who is out is called back."""

    def __init__(self) -> None:
        self._is_over = False
        self._out: Postman | None = None

    def send(self, postman: Postman, *, batch: int, at_most: timedelta) -> None:
        """Let him do his rounds, unless it is over."""
        if not self._is_over:
            self._out = postman
            postman.do_rounds(batch=batch, at_most=at_most)

    def end(self) -> None:
        """Nobody goes out any more."""
        self._is_over = True
        if self._out is not None:
            self._out.leave()


def list_notifications(request: ListNotifications, *, deliveries: Deliveries) -> NotificationPage:
    """What was sent to this user. Raises ``InvalidRequest`` for a cursor that is none."""
    if request.cursor is not None and not is_id(request.cursor):
        raise InvalidRequest(errors=[{"pointer": "/cursor", "detail": "This is no cursor of this list."}])
    if not is_id(request.user_id):
        return NotificationPage(items=[], next_cursor=None)
    found = deliveries.page_of(request.user_id, before=request.cursor, limit=request.limit + 1)
    page, more = found[: request.limit], len(found) > request.limit
    return NotificationPage(items=[_notification(each) for each in page], next_cursor=page[-1].id if more else None)


def audit_deliveries(request: AuditDeliveries, *, deliveries: Deliveries) -> DeliveriesAudit:
    """Per order the states of its confirmations; an order without one has an empty list."""
    asked = {each for each in request.order_ids if is_id(each)}
    states = deliveries.states_about(asked, ORDER_CONFIRMED)
    return DeliveriesAudit(confirmations={each: list(states.get(each, [])) for each in request.order_ids})


def _notification(delivery: Delivery) -> Notification:
    return Notification(
        id=delivery.id,
        event=delivery.event,
        channel=delivery.channel,
        template=delivery.template,
        state=delivery.state,
        created_at=to_rfc3339(delivery.created_at),
        sent_at=to_rfc3339(delivery.sent_at) if delivery.sent_at else None,
    )
