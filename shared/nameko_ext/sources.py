"""What brought a job: a message of its own, or a frame that it shares with others. It is answered and settled there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shared.nameko_ext.consuming import Delivery
    from shared.nameko_ext.outcomes import Outcome
    from shared.nameko_ext.replies import Replies
    from shared.nameko_ext.wire import ReplyAddress


class Source(Protocol):
    """Where a job came from."""

    @property
    def key(self) -> tuple[str, str] | None:
        """Whose call it is: equal only for the same call, brought again. ``None`` when the caller gave it no id."""
        ...

    @property
    def redelivered(self) -> bool:
        """Whether it may have run before."""
        ...

    @property
    def batch_size(self) -> int:
        """How many calls came together."""
        ...

    def begin(self, *, changing: bool) -> bool:
        """Before the job is run. Gives whether it may: a change may not when its caller cannot be told of it."""
        ...

    def answer(self, outcome: Outcome, *, replayed: bool) -> None:
        """Post the answer, and acknowledge the message when this was its last."""
        ...

    def give_back(self) -> bool:
        """Let another replica have it, unless part of it has begun here; gives whether that is so."""
        ...


class Lone:
    """A message with one call, as Nameko's clients send it."""

    batch_size = 1

    def __init__(self, replies: Replies, delivery: Delivery, address: ReplyAddress) -> None:
        self._replies = replies
        self._delivery = delivery
        self._address = address

    @property
    def key(self) -> tuple[str, str] | None:
        """Its caller's address and correlation id."""
        address = self._address
        return None if address.correlation_id is None else (address.reply_to, address.correlation_id)

    @property
    def redelivered(self) -> bool:
        """As the broker says."""
        return self._delivery.redelivered

    def begin(self, *, changing: bool) -> bool:
        """Nameko's clients know no notices."""
        del changing
        return True

    def answer(self, outcome: Outcome, *, replayed: bool) -> None:
        """A reply of its own."""
        self._replies.post(self._address, outcome, replayed=replayed)
        self._replies.settle(self._delivery)

    def give_back(self) -> bool:
        """Always: it has not begun."""
        self._delivery.requeue()
        return True


class Frame:
    """A message with several calls. It is acknowledged when the last of them is answered."""

    def __init__(self, replies: Replies, delivery: Delivery, address: ReplyAddress, size: int) -> None:
        self.replies = replies
        self.delivery = delivery
        self.address = address
        self.size = size
        self.has_begun = False
        self._is_announced = False
        self._unanswered = size

    def announce(self) -> bool:
        """Tell the caller once that a change may be under way; gives whether it knows."""
        if not self._is_announced:
            self._is_announced = self.replies.announce(self.address)
        return self._is_announced

    def answered(self) -> None:
        """One call fewer to wait for."""
        self._unanswered -= 1
        if self._unanswered == 0:
            self.replies.settle(self.delivery)


class Framed:
    """One call of a frame."""

    def __init__(self, frame: Frame, call_id: str) -> None:
        self._frame = frame
        self._id = call_id

    @property
    def key(self) -> tuple[str, str] | None:
        """Its caller's address and its id."""
        return self._frame.address.reply_to, self._id

    @property
    def redelivered(self) -> bool:
        """As the broker says of the whole frame."""
        return self._frame.delivery.redelivered

    @property
    def batch_size(self) -> int:
        """Of the frame."""
        return self._frame.size

    def begin(self, *, changing: bool) -> bool:
        """From here on the frame is ours. A caller who cannot be told of a change must not be made to deny it."""
        self._frame.has_begun = True
        return not changing or self._frame.announce()

    def answer(self, outcome: Outcome, *, replayed: bool) -> None:
        """A part of a frame of replies."""
        self._frame.replies.post_framed(self._frame.address.reply_to, self._id, outcome, replayed=replayed)
        self._frame.answered()

    def give_back(self) -> bool:
        """The whole frame, or nothing of it."""
        if self._frame.has_begun:
            return False
        self._frame.delivery.requeue()
        return True
