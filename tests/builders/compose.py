"""What Compose makes of docker-compose.yml: anchors, defaults and short forms written out."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "docker-compose"


def rendered(**variables):
    """All profiles, with these variables in the shell and none of ours besides."""
    done = subprocess.run(
        [PROGRAM, "-f", ROOT / "docker-compose.yml", "--profile", "*", "config", "--format", "json"],
        env={name: value for name, value in os.environ.items() if not name.startswith("KIRANA_")} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
