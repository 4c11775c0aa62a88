"""Calls that wait for their answer, found again by id; bounded, and emptied when the link breaks."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Protocol

import structlog

from edge.rpc.failures import Blame, NotExecuted, OutcomeUnknown
from shared.contracts import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aiormq.abc import DeliveredMessage

    from shared.contracts.method import Method

log = structlog.get_logger()

DEATHS = "x-death"
REMEMBERED = 4096
"""Calls that were given up and might still be answered; of more, the oldest are forgotten."""


class Recipient(Protocol):
    """Whoever sent a frame and takes the answers to its calls."""

    def answered(self, replies: Sequence[frames.FramedReply]) -> None:
        """These of its calls are done."""


class Awaiting(Protocol):
    """Whoever sent a message and waits for what becomes of it."""

    def replied(self, message: DeliveredMessage) -> None:
        """A reply to the message as a whole."""

    def taken(self) -> None:
        """From now on a change that it asked for may be under way."""

    def expired(self) -> None:
        """The broker gave it back: no service has it."""

    def fail(self, failure: Exception) -> None:
        """Nothing more will come."""


class Answer:
    """The reply to a lone call, as a future of the message."""

    def __init__(self, *, changing: bool) -> None:
        self._changing = changing
        self.future: asyncio.Future[DeliveredMessage] = asyncio.get_running_loop().create_future()

    def replied(self, message: DeliveredMessage) -> None:
        """This is it."""
        if not self.future.done():
            self.future.set_result(message)

    def taken(self) -> None:
        """Nobody says this of a lone call."""

    def expired(self) -> None:
        """Of a change nobody knows whether it was delivered before: then it may have been made."""
        if self._changing:
            self.fail(OutcomeUnknown("it expired, perhaps after a service had it", blame=Blame.SERVICE))
        else:
            self.fail(NotExecuted("it expired in the service's queue", blame=Blame.SERVICE))

    def fail(self, failure: Exception) -> None:
        """There will be none."""
        if not self.future.done():
            self.future.set_exception(failure)


class Pending:
    """Ids come from a counter: unique within this process, and the reply queue is ours alone.

    ``on_late`` hears the method of a call that was given up when its answer comes after all. ``counts`` has the
    answers for which nobody waited as ``unclaimed`` and messages that came back as ``expired``, waited for or not.
    """

    def __init__(self, *, limit: int, on_late: Callable[[Method], None] = lambda _: None) -> None:
        self._limit = limit
        self._on_late = on_late
        self._given_up: dict[str, Method] = {}
        self._ids = count(1)
        self._messages: dict[str, Awaiting] = {}
        self._framed: dict[str, Recipient] = {}
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._messages) + len(self._framed)

    def new_id(self) -> str:
        """For a message, or for a call within one."""
        return str(next(self._ids))

    @contextmanager
    def place(self, *, changing: bool = False) -> Iterator[tuple[str, asyncio.Future[DeliveredMessage]]]:
        """A new correlation id and the future of its answer, forgotten however the block ends.

        Raises ``NotExecuted`` when too many calls wait already.
        """
        if len(self) >= self._limit:
            raise NotExecuted("too many calls are waiting for answers")
        answer = Answer(changing=changing)
        with self.awaited(answer) as correlation_id:
            try:
                yield correlation_id, answer.future
            finally:
                if not answer.future.cancel() and not answer.future.cancelled():
                    answer.future.exception()  # seen: an answer that failed after its caller did is not news

    @contextmanager
    def awaited(self, awaiting: Awaiting) -> Iterator[str]:
        """A new correlation id for ``awaiting``'s message, forgotten when the block ends."""
        correlation_id = self.new_id()
        self._messages[correlation_id] = awaiting
        try:
            yield correlation_id
        finally:
            self._messages.pop(correlation_id, None)

    def expect(self, recipient: Recipient) -> str:
        """A new id for a call in a frame; :meth:`forget` it in the end."""
        call_id = self.new_id()
        self._framed[call_id] = recipient
        return call_id

    def forget(self, call_id: str) -> None:
        """Nobody waits for this call any more."""
        self._framed.pop(call_id, None)

    def give_up(self, call_id: str, method: Method) -> None:
        """Nobody waits for this call any more, but an answer would show that the service lives."""
        while len(self._given_up) >= REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        self._given_up[call_id] = method

    def late(self, method: Method) -> None:
        """An answer came for which nobody waits."""
        self._on_late(method)

    def resolve(self, message: DeliveredMessage) -> None:
        """Hand what came to whom it belongs; what is late, repeated or unknown is dropped, and answers are counted."""
        properties = message.header.properties
        if properties.message_type == frames.REPLIES:
            self._resolve_frame(message)
            return
        correlation_id = properties.correlation_id or ""
        awaiting = self._messages.get(correlation_id)
        if properties.message_type == frames.TAKEN:
            if awaiting is not None:
                awaiting.taken()
            return
        self._messages.pop(correlation_id, None)
        if DEATHS in (properties.headers or {}):
            self.counts["expired"] += 1
            self._given_up.pop(correlation_id, None)
            if awaiting is not None:
                awaiting.expired()
        elif awaiting is not None:
            awaiting.replied(message)
        else:
            self._unclaimed(correlation_id)

    def fail_all(self, failure: Exception) -> None:
        """The link is gone: nobody's answer will come."""
        messages, self._messages, self._framed = self._messages, {}, {}
        for awaiting in messages.values():
            awaiting.fail(failure)

    def _resolve_frame(self, message: DeliveredMessage) -> None:
        try:
            replies = frames.read_replies(message.body)
        except frames.NotAFrame as fault:
            self.counts["unreadable"] += 1
            log.warning("rpc.reply.unreadable", reason=str(fault))
            return
        claimed: dict[Recipient, list[frames.FramedReply]] = {}
        for reply in replies:
            recipient = self._framed.pop(reply.id, None)
            if recipient is None:
                self._unclaimed(reply.id)
            else:
                claimed.setdefault(recipient, []).append(reply)
        for recipient, its_own in claimed.items():
            recipient.answered(its_own)

    def _unclaimed(self, correlation_id: str) -> None:
        self.counts["unclaimed"] += 1
        method = self._given_up.pop(correlation_id, None)
        if method is not None:
            self.late(method)
        log.debug("rpc.reply.unclaimed", correlation_id=correlation_id)
