"""A link that is renewed is open again at once: nobody was away, and no other socket hears of it."""

import subprocess
import sys
from pathlib import Path

RENEWING = Path(__file__).with_name("renewing_under_eventlet.py")
TIMES = 5


def test_a_link_is_renewed_without_a_word_of_a_broker_that_is_away(rabbit):
    command = [sys.executable, "-W", "ignore", RENEWING, rabbit.url, f"{TIMES}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert f"lost {TIMES + 1}" in run.stdout
    assert run.stdout.count("broker.connected") == TIMES + 1
    assert "broker.away" not in run.stdout
