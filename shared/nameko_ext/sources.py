"""What brought a job: a message of its own, or a frame that it shares with others. It is answered and settled there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from shared.nameko_ext.publishing import CONFIRMED, UNROUTABLE

if TYPE_CHECKING:
    from shared.contracts.frames import FramedCall
    from shared.nameko_ext.consuming import Delivery
    from shared.nameko_ext.outcomes import Outcome
    from shared.nameko_ext.publishing import Confirmation
    from shared.nameko_ext.replies import Replies
    from shared.nameko_ext.wire import ReplyAddress

Key = tuple[object, ...]


class Source(Protocol):
    """Where a job came from."""

    @property
    def address(self) -> ReplyAddress:
        """Who waits for its answer, or for that of the whole frame."""
        ...

    @property
    def key(self) -> Key:
        """Who asks what, in which message: equal only for the same call, brought again."""
        ...

    @property
    def redelivered(self) -> bool:
        """Whether it may have run before."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether the broker took it back: somebody else has it, or we have it again."""
        ...

    @property
    def batch_size(self) -> int:
        """How many calls came together."""
        ...

    def hold(self) -> None:
        """It is run here, now or in a moment."""
        ...

    def begin(self, *, changing: bool) -> bool:
        """Before the job is run. Gives whether it may: a change may not when its caller cannot be told of it."""
        ...

    def answer(self, outcome: Outcome, *, replayed: bool) -> None:
        """Post the answer, and acknowledge the message when this was its last."""
        ...

    def give_back(self) -> bool:
        """Let another replica have it, unless part of it was taken here; gives whether that is so."""
        ...


class Lone:
    """A message with one call, as Nameko's clients send it."""

    batch_size = 1

    def __init__(self, replies: Replies, delivery: Delivery, address: ReplyAddress) -> None:
        self._replies = replies
        self._delivery = delivery
        self.address = address

    @property
    def key(self) -> Key:
        """Its caller's address and correlation id, and all that it says."""
        address = self.address
        return address.reply_to, address.correlation_id, self._delivery.routing_key, bytes(self._delivery.body)

    @property
    def redelivered(self) -> bool:
        """As the broker says."""
        return self._delivery.redelivered

    @property
    def is_lost(self) -> bool:
        """With its connection."""
        return self._delivery.is_lost

    def hold(self) -> None:
        """Only what waits is ever given back."""

    def begin(self, *, changing: bool) -> bool:
        """Nameko's clients know no notices."""
        del changing
        return True

    def answer(self, outcome: Outcome, *, replayed: bool) -> None:
        """A reply of its own."""
        self._replies.post(self.address, outcome, replayed=replayed)
        self._replies.settle(self._delivery)

    def give_back(self) -> bool:
        """Always: it was not taken."""
        self._delivery.requeue()
        return True


class Frame:
    """A message with several calls. It is acknowledged when the last of its parts is done."""

    def __init__(self, replies: Replies, delivery: Delivery, address: ReplyAddress, size: int) -> None:
        self.replies = replies
        self.delivery = delivery
        self.address = address
        self.size = size
        self.is_held = False
        self._announcement: Confirmation | None = None
        self._undone = size

    def announce(self) -> bool:
        """Tell the caller once that a change may be under way, and wait until the broker has the notice.

        Gives whether the change may begin. A caller who has gone cannot be told, and needs not be.
        """
        if self._announcement is None:
            self._announcement = self.replies.announce(self.address)
        if self._announcement.wait() in {CONFIRMED, UNROUTABLE}:
            return True
        if not self.delivery.is_lost:
            self.replies.give_up_link()
        return False

    def expect_one_more(self) -> None:
        """Something besides its calls is to be done before it is acknowledged."""
        self._undone += 1

    def done_with_one(self) -> None:
        """One part fewer to wait for."""
        self._undone -= 1
        if self._undone == 0:
            self.replies.settle(self.delivery)


class Framed:
    """One call of a frame."""

    def __init__(self, frame: Frame, call: FramedCall) -> None:
        self._frame = frame
        self._call = call

    @property
    def address(self) -> ReplyAddress:
        """Of the frame."""
        return self._frame.address

    @property
    def key(self) -> Key:
        """Its caller's address, its frame's and its own id, and all that it asks."""
        address, call = self.address, self._call
        return address.reply_to, address.correlation_id, call.id, call.method, bytes(call.kwargs)

    @property
    def redelivered(self) -> bool:
        """As the broker says of the whole frame."""
        return self._frame.delivery.redelivered

    @property
    def is_lost(self) -> bool:
        """With its connection."""
        return self._frame.delivery.is_lost

    @property
    def batch_size(self) -> int:
        """Of the frame."""
        return self._frame.size

    def hold(self) -> None:
        """With one of its calls the whole frame stays."""
        self._frame.is_held = True

    def begin(self, *, changing: bool) -> bool:
        """A caller who cannot be told of a change must not be made to deny it."""
        return not changing or self._frame.announce()

    def answer(self, outcome: Outcome, *, replayed: bool) -> None:
        """A part of a frame of replies."""
        self._frame.replies.post_framed(self._frame.address.reply_to, self._call.id, outcome, replayed=replayed)
        self._frame.done_with_one()

    def give_back(self) -> bool:
        """The whole frame, or nothing of it."""
        if self._frame.is_held:
            return False
        self._frame.delivery.requeue()
        return True
