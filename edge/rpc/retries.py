"""A budget for second tries, so that retries never multiply the load on something that is already failing."""

from __future__ import annotations


class RetryBudget:
    """Every call earns ``ratio`` of a retry; at most ``cap`` retries can be saved up."""

    def __init__(self, *, ratio: float = 0.1, cap: float = 10.0) -> None:
        self._ratio = ratio
        self._cap = cap
        self._saved = cap

    def earn(self) -> None:
        """Account for a call's first try."""
        self._saved = min(self._cap, self._saved + self._ratio)

    def spend(self) -> bool:
        """Take one retry out, if there is one."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
