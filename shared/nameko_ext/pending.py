"""Messages and calls that wait for an answer, found again by id; emptied when the link breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import Any, Protocol

import structlog

from shared.contracts import frames

log = structlog.get_logger()

DEATHS = "x-death"


class Awaiting(Protocol):
    """Whoever sent a message and waits for what becomes of it and of the calls in it."""

    def answered(self, reply: frames.FramedReply) -> None:
        """One of its calls is done."""

    def replied(self, body: bytes) -> None:
        """A reply to the message as a whole."""

    def taken(self) -> None:
        """From now on a change that it asked for may be under way."""

    def expired(self) -> None:
        """The broker gave it back: no service has it."""

    def lost(self) -> None:
        """The link is gone, and its answers with it."""


class Pending:
    """Ids come from a counter: unique within this process, and the reply queue is ours alone."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._messages: dict[str, Awaiting] = {}
        self._calls: dict[str, Awaiting] = {}
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._messages) + len(self._calls)

    def post(self, awaiting: Awaiting) -> str:
        """A new id for a message; :meth:`forget` it in the end."""
        return self._keep(self._messages, awaiting)

    def expect(self, awaiting: Awaiting) -> str:
        """A new id for a call in a frame; :meth:`forget` it in the end."""
        return self._keep(self._calls, awaiting)

    def forget(self, *ids: str) -> None:
        """Whatever still comes for these is late."""
        for each in ids:
            self._messages.pop(each, None)
            self._calls.pop(each, None)

    def resolve(self, properties: Mapping[str, Any], body: bytes) -> None:
        """Hand what came to whom it belongs; what is late, repeated or unknown is dropped, and answers are counted."""
        kind = properties.get("type")
        if kind == frames.REPLIES:
            self._resolve_frame(body)
            return
        message_id = str(properties.get("correlation_id", ""))
        awaiting = self._messages.get(message_id)
        if kind == frames.TAKEN:
            if awaiting is not None:
                awaiting.taken()
        elif DEATHS in (properties.get("application_headers") or {}):
            self.counts["expired"] += 1
            if awaiting is not None:
                awaiting.expired()
        elif awaiting is not None:
            awaiting.replied(body)
        else:
            self._unclaimed(message_id)

    def lose_all(self) -> None:
        """The link is gone: nobody's answer will come."""
        for awaiting in list(self._messages.values()):
            awaiting.lost()

    def _keep(self, place: dict[str, Awaiting], awaiting: Awaiting) -> str:
        new_id = str(next(self._ids))
        place[new_id] = awaiting
        return new_id

    def _resolve_frame(self, body: bytes) -> None:
        try:
            replies = frames.read_replies(body)
        except frames.NotAFrame as fault:
            self.counts["unreadable"] += 1
            log.warning("rpc.answers_unreadable", reason=str(fault))
            return
        for reply in replies:
            awaiting = self._calls.pop(reply.id, None)
            if awaiting is None:
                self._unclaimed(reply.id)
            else:
                awaiting.answered(reply)

    def _unclaimed(self, unknown_id: str) -> None:
        self.counts["unclaimed"] += 1
        log.info("rpc.late_reply", call=unknown_id)
