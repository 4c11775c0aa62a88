"""A limit on how many requests are under way at once, that finds by itself how many are good for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

UNKNOWN = math.inf


class Priority(IntEnum):
    """Who is served when not all can be: the lower, the longer. ``HEALTH`` always is."""

    HEALTH = 0
    CHECKOUT = 1
    WRITE = 2
    READ = 3


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """How the limit moves; it moves once per window, whose length is whatever time lies between two adjustments.

    It begins at ``first`` and stays between ``least`` and ``most``. Checkouts may use all of it, writes and reads their
    ``shares`` of it. A request is slow that takes ``slower`` times what its kind usually takes, and ``slack`` seconds.
    When most are slow, the limit is ``cut`` from what was used; otherwise it grows by the share ``growth`` while it is
    used, and drifts back to ``first`` while it is not. The vote is taken when ``enough`` requests have ended. After
    ``patience`` windows with refusals reads and writes are held to ``squeezed`` of it for ``squeeze`` windows, to
    see anew what is usual: to less than the share at which they would be slow, or each look would find worse than the
    last, and believe it.
    """

    least: int = 96
    first: int = 512
    most: int = 1024
    shares: tuple[float, float] = (0.9, 0.75)
    slower: float = 2.0
    slack: float = 0.05
    cut: float = 0.8
    growth: float = 0.05
    enough: int = 10
    patience: int = 200
    squeeze: int = 3
    squeezed: float = 0.25


class Usual:
    """What one kind of request usually takes, in seconds: quick to learn of better, slow to get used to worse.

    So a load that grows for a minute does not become what is usual, but another kind of answer, that takes longer for
    good, does.
    """

    __slots__ = ("count", "seconds", "too_long", "total")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.too_long = UNKNOWN
        self.total = 0.0
        self.count = 0

    def learn(self, policy: LimitPolicy, worse: float) -> None:
        """Take in the window. ``worse`` is the share at which a worse mean is believed."""
        if not self.count:
            return
        mean = self.total / self.count
        if not self.seconds:
            self.seconds = mean
        else:
            self.seconds += (0.3 if mean < self.seconds else worse) * (mean - self.seconds)
        self.too_long = policy.slower * self.seconds + policy.slack
        self.total = 0.0
        self.count = 0


class AdaptiveLimit:
    """One per upstream: so a slow one takes nothing from the others.

    Requests are compared with what their own kind usually takes, and vote: a mean over different kinds would move with
    the mixture, and few very slow ones would look like an overload of all. Whoever asks :meth:`admits` and gets yes
    calls :meth:`enter`, and :meth:`leave` in the end.
    """

    def __init__(self, policy: LimitPolicy | None = None) -> None:
        self._policy = policy or LimitPolicy()
        self._usual: dict[str, Usual] = {}
        self._peak = 0
        self._ended = 0
        self._slow = 0
        self._refused_before = 0
        self._refusing = 0
        self._squeezing = 0
        self.in_flight = 0
        self.refused = [0, 0, 0, 0]
        self.limit = float(self._policy.first)
        self.rooms = [math.inf] * 4
        self._furnish()

    def admits(self, priority: int) -> bool:
        """Whether there is room; a no is counted."""
        if self.in_flight < self.rooms[priority]:
            return True
        self.refused[priority] += 1
        return False

    def enter(self) -> None:
        """One more is under way."""
        self.in_flight += 1
        self._peak = max(self._peak, self.in_flight)

    def leave(self, kind: str, seconds: float) -> None:
        """One has ended, whose upstream took ``seconds``; with zero it asked nobody and says nothing."""
        self.in_flight -= 1
        if seconds <= 0.0:
            return
        usual = self._usual.get(kind)
        if usual is None:
            usual = self._usual[kind] = Usual()
        usual.total += seconds
        usual.count += 1
        self._ended += 1
        if seconds > usual.too_long:
            self._slow += 1

    def adjust(self, *, is_lagging: bool = False) -> None:
        """End the window. ``is_lagging``: the process itself comes late to everything, whatever the answers took."""
        refused = sum(self.refused)
        is_refusing, self._refused_before = refused > self._refused_before, refused
        self._learn(is_refusing=is_refusing)
        if self._squeezing:
            self._squeezing -= 1
        elif self._ended >= self._policy.enough or is_lagging:
            self._move(is_slow=is_lagging or 2 * self._slow > self._ended)
            self._ended = self._slow = 0
        elif not is_refusing:
            self._drift()
        self._plan_squeeze(is_refusing=is_refusing)
        self._peak = self.in_flight
        self._furnish()

    def _move(self, *, is_slow: bool) -> None:
        policy = self._policy
        used = self._peak / policy.shares[-1]
        if is_slow:
            self.limit = max(float(policy.least), min(self.limit, used) * policy.cut)
        elif 2 * used >= self.limit:
            self.limit = min(float(policy.most), self.limit + max(1.0, self.limit * policy.growth))
        else:
            self._drift()

    def _drift(self) -> None:
        if self.limit < self._policy.first:
            self.limit += 0.002 * (self._policy.first - self.limit)

    def _learn(self, *, is_refusing: bool) -> None:
        """While some are refused, only a squeezed window can show that what is usual has become worse."""
        if self._squeezing:
            worse = 0.5 if self._squeezing < self._policy.squeeze else 0.0
        else:
            worse = 0.0 if is_refusing else 0.002
        for usual in self._usual.values():
            usual.learn(self._policy, worse)

    def _plan_squeeze(self, *, is_refusing: bool) -> None:
        if is_refusing and not self._squeezing:
            self._refusing += 1
            if self._refusing >= self._policy.patience:
                self._refusing = 0
                self._squeezing = self._policy.squeeze

    def _furnish(self) -> None:
        limit = self.limit * self._policy.squeezed if self._squeezing else self.limit
        write, read = self._policy.shares
        self.rooms[Priority.CHECKOUT] = self.limit
        self.rooms[Priority.WRITE] = limit * write
        self.rooms[Priority.READ] = limit * read
