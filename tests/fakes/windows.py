"""Shared windows in memory, which can be away, slow or forgetful."""

from collections import defaultdict

from edge.limiting.limits import Taken


class FakeWindows:
    """Admits until the quota is used, and for ever after refuses; ``fault`` is what it says while it is away."""

    def __init__(self):
        self.fault = None
        self.is_silent = False
        self.epoch = "first"
        self.asked = []
        self.used = defaultdict(int)
        self.opened = 0

    async def open(self):
        self.opened += 1
        if self.fault is not None:
            raise self.fault

    def take(self, asked, tell):
        self.asked.append([(tuple(check.key for check in group.checks), len(group.seats)) for group in asked])
        if not self.is_silent:
            tell(self.fault or [self._taken(group) for group in asked])

    async def charge(self, charges):
        if self.fault is not None:
            raise self.fault
        for one in charges:
            self.used[one.key] += sum(count for _, count in one.admissions)

    def abort(self):
        pass

    def forget(self):
        self.epoch += " again"
        self.used.clear()

    def _taken(self, group):
        room = min(max(0, check.quota - self.used[check.key]) for check in group.checks)
        admitted = min(len(group.seats), room)
        for check in group.checks:
            self.used[check.key] += admitted
        return Taken(
            admitted, [(max(0, check.quota - self.used[check.key]), float(check.window)) for check in group.checks]
        )


class HeldWindows(FakeWindows):
    """Says nothing before it is let."""

    def __init__(self):
        super().__init__()
        self.held = []

    def take(self, asked, tell):
        self.held.append((asked, tell))

    def answer(self):
        held, self.held = self.held, []
        for question in held:
            super().take(*question)
