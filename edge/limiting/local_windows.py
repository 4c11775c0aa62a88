"""What one worker remembers of its own admissions: enough to go on alone, and to tell Redis when it is back."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from edge.limiting.limits import Check, Taken
from edge.limiting.shared_windows import Charge

SLICES = 16
LOCAL_WINDOWS = 50_000
WRITING_SECONDS = 0.1


class _Slice:
    """Admissions of one sixteenth of a window: how many, and how many of them Redis was not told."""

    __slots__ = ("count", "index", "owed")

    def __init__(self, index: int) -> None:
        self.index, self.count, self.owed = index, 0, 0


class _Window:
    """Slices, oldest first. The current one and the 16 before it count, which is never less than the window."""

    __slots__ = ("_slices", "used", "width", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self.width = window / SLICES
        self.used = 0
        self._slices: deque[_Slice] = deque()

    def turn(self, now: float) -> None:
        """Forget what is out of the window by now."""
        oldest = int(now / self.width) - SLICES
        while self._slices and self._slices[0].index < oldest:
            self.used -= self._slices.popleft().count

    def add(self, now: float, count: int, *, owed: int) -> None:
        """Note admissions of this moment."""
        index = int(now / self.width)
        if not self._slices or self._slices[-1].index != index:
            self.turn(now)
            self._slices.append(_Slice(index))
        latest = self._slices[-1]
        latest.count += count
        latest.owed += owed
        self.used += count

    def reset(self, now: float) -> float:
        """Seconds until the oldest slice is forgotten."""
        oldest = self._slices[0].index if self._slices else int(now / self.width)
        return (oldest + SLICES + 1) * self.width - now

    def admissions(self, now: float, *, every: bool) -> list[tuple[_Slice, float, int]]:
        """Per slice its age by its end, so that nothing counts for too short, and how many are to be told."""
        self.turn(now)
        return [
            (one, max(0.0, now - (one.index + 1) * self.width), told)
            for one in self._slices
            if (told := one.count if every else one.owed)
        ]


class LocalWindows:
    """The least recently used are forgotten first. ``monotonic`` is in seconds."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._noted: dict[Check, int] = {}
        self._writes_at = 0.0

    def take(self, checks: Sequence[Check]) -> Taken:
        """Admit one request if all its windows allow it: charged all or none, and owed to Redis."""
        now = self._write()
        windows = [self._at(check) for check in checks]
        for window in windows:
            window.turn(now)
        admitted = int(all(window.used < check.quota for window, check in zip(windows, checks, strict=True)))
        for window in windows[: len(windows) * admitted]:
            window.add(now, 1, owed=1)
        return Taken(
            admitted,
            [
                (max(0, check.quota - window.used), window.reset(now))
                for window, check in zip(windows, checks, strict=True)
            ],
        )

    def note(self, checks: Sequence[Check], admitted: int) -> None:
        """Remember what Redis admitted. Hot windows are written to now and then, with all that came meanwhile."""
        noted = self._noted
        for check in checks:
            noted[check] = noted.get(check, 0) + admitted
        if self._monotonic() >= self._writes_at:
            self._write()

    def debts(self, *, every: bool) -> tuple[list[Charge], Callable[[], None]]:
        """What Redis must be told: what is owed, or ``every`` admission when it has forgotten; and how to strike it."""
        now = self._write()
        charges, told = [], []
        for key, window in self._windows.items():
            if admissions := window.admissions(now, every=every):
                told += admissions
                charges.append(Charge(key, window.window, [(ago, count) for _, ago, count in admissions]))

        def strike() -> None:
            for one, _, count in told:
                one.owed = max(0, one.owed - count)

        return charges, strike

    def _write(self) -> float:
        """Put what was noted where it is counted; the time it is now. What is written late counts a little longer."""
        now = self._monotonic()
        self._writes_at = now + WRITING_SECONDS
        if self._noted:
            noted, self._noted = self._noted, {}
            for check, admitted in noted.items():
                self._at(check).add(now, admitted, owed=0)
        return now

    def _at(self, check: Check) -> _Window:
        window = self._windows.get(check.key)
        if window is None or window.window != check.window:
            window = self._windows[check.key] = _Window(check.window)
            if len(self._windows) > LOCAL_WINDOWS:
                self._windows.popitem(last=False)
        self._windows.move_to_end(check.key)
        return window
