import subprocess
import sys
from pathlib import Path

PROBE = Path(__file__).with_name("slow_disk_under_eventlet.py")


def test_a_slow_disk_stops_nobody_else_and_thirty_writers_share_two_commits(tmp_path):
    ended = subprocess.run(
        [sys.executable, PROBE, tmp_path / "journal.sqlite3"], capture_output=True, text=True, timeout=120, check=False
    )

    assert ended.returncode == 0, ended.stderr
    kept, commits, ticks = map(int, ended.stdout.split())
    assert (kept, commits) == (30, 2)
    assert ticks >= 40, "each of the two commits lets the hub go on for twenty"
