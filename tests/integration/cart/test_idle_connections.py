import subprocess
import sys
from pathlib import Path

PROBE = Path(__file__).with_name("idle_connections_under_eventlet.py")


def test_connections_that_redis_closed_while_they_lay_idle_are_replaced_before_anything_is_sent(servers):
    """As after its restart: eventlet takes away the calls by which the client would see it by itself."""
    ended = subprocess.run(
        [sys.executable, PROBE, servers[0].url], capture_output=True, text=True, timeout=120, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "8\n"), ended.stderr
