"""Moments and choices of a test, drawn by lot. ``KIRANA_CHAOS_SEED`` draws those of an earlier run once more."""

import os
import secrets
from random import Random

SEED = os.environ.get("KIRANA_CHAOS_SEED") or secrets.token_hex(4)


def lots():
    """The running test's own. What it prints is shown when the test fails, and names the seed."""
    print(f"seed {SEED}")
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].partition(" ")[0]
    return Random(f"{SEED} {test}")
