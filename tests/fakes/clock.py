"""A clock that stands still until it is told to go on."""

from datetime import UTC, datetime


class FakeClock:
    def __init__(self, start=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)):
        self.moment = start

    def __call__(self):
        return self.moment

    def advance(self, span):
        self.moment += span
