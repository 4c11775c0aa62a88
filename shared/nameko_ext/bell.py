"""A bell that one greenlet rings and another waits for; ringing twice before anyone listens is ringing once."""

from __future__ import annotations

from eventlet import Timeout
from eventlet.semaphore import Semaphore


class Bell:
    """Rung after a commit, heard by the relay."""

    def __init__(self) -> None:
        self._rung = Semaphore(0)

    def ring(self) -> None:
        """Wake whoever waits, now or next."""
        if self._rung.balance <= 0:
            self._rung.release()

    def wait(self, seconds: float) -> bool:
        """Wait to be rung, so long at most. Gives whether it was."""
        with Timeout(seconds, exception=False):
            return bool(self._rung.acquire())
        return False
