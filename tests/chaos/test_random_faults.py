"""Processes chosen by lot are killed, told to stop or frozen while customers shop: no order is lost, doubled or stuck.

``KIRANA_CHAOS_SECONDS`` makes it longer, ``KIRANA_CHAOS_SEED`` repeats the lots of an earlier run.
"""

import os
import random
import signal
import time
from contextlib import suppress

import pytest

from tests.builders.lots import SEED
from tests.builders.opening import opened, ready
from tests.builders.processes import pids
from tests.builders.shop import a_product, an_admin
from tests.builders.waiting import eventually
from tests.chaos.shoppers import Shoppers
from tests.chaos.test_faults import audit

pytestmark = pytest.mark.takes(60)

SECONDS = float(os.environ.get("KIRANA_CHAOS_SECONDS", "45"))
LONGEST_FREEZE_SECONDS = 8.0 if SECONDS < 100 else 15.0
WAYS = ("kill -9", "kill -9", "stop", "freeze")
GOODBYE = {"postgres": signal.SIGINT}
"""PostgreSQL takes SIGTERM for "when all clients have left", and pools never leave; all others take it for "now"."""


class Lots:
    """What happens to whom, by lot; the same seed draws the same lots."""

    def __init__(self, stack, seed):
        self._stack = stack
        self._chance = random.Random(seed)
        self._frozen = {}
        self.drawn = []

    def draw(self):
        name = self._chance.choice(sorted(pids(self._stack)))
        way, share = self._chance.choice(WAYS), self._chance.random()
        pid = pids(self._stack).get(name, 0)
        if not pid or pid in self._frozen:
            return
        self.drawn.append(f"{way} {name}")
        with suppress(ProcessLookupError):
            if way == "freeze":
                os.kill(pid, signal.SIGSTOP)
                self._frozen[pid] = time.monotonic() + 1 + share * (LONGEST_FREEZE_SECONDS - 1)
            else:
                os.kill(pid, signal.SIGKILL if way == "kill -9" else GOODBYE.get(name, signal.SIGTERM))

    def thaw(self, *, everybody=False):
        for pid, until in list(self._frozen.items()):
            if everybody or time.monotonic() >= until:
                del self._frozen[pid]
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def fall(self, seconds):
        """Draw lots for so long; nobody stays frozen."""
        give_up_at = time.monotonic() + seconds
        next_at = time.monotonic() + 1
        try:
            while time.monotonic() < give_up_at:
                self.thaw()
                if time.monotonic() >= next_at:
                    self.draw()
                    next_at = time.monotonic() + self._chance.uniform(0.5, 6)
                time.sleep(0.05)
        finally:
            self.thaw(everybody=True)


@pytest.fixture
def product_ids(stack):
    with an_admin(opened(stack)) as admin:
        return [a_product(admin, stock=1_000_000)["id"] for _ in range(4)]


@pytest.mark.timeout(SECONDS + 500)
def test_whatever_fails_no_order_is_lost_doubled_or_stuck_and_nobody_is_lied_to(stack, product_ids, tmp_path):
    lots = Lots(stack, SEED)
    print(f"seed {SEED}, {SECONDS:.0f} s")

    with Shoppers(stack, product_ids, customers=4, seed=SEED).running() as shoppers:
        lots.fall(SECONDS)
        eventually(lambda: ready(stack), within=60)
        count = len(shoppers.acknowledged)
        eventually(lambda: len(shoppers.acknowledged) >= count + 4, within=60)

    print(f"lots: {', '.join(lots.drawn)}")
    print(f"done: {dict(shoppers.done)}, answers: {dict(shoppers.statuses)}, slowest {shoppers.slowest:.1f} s")
    assert not shoppers.lies
    checked = audit(stack, shoppers.write(tmp_path / "acknowledged.jsonl"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
