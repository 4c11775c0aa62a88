"""``python -m shipper.setup [elasticsearch|kibana]``: the set-up job of a container. Says what it did, line by line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from shipper.setup.faults import SetupFault
from shipper.setup.job import run
from shipper.setup.settings import Part, read_settings

USAGE = "Usage: python -m shipper.setup [elasticsearch|kibana]\n"


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 well, 1 something to be mended, 2 wrong arguments, 78 wrong settings."""
    try:
        parts = frozenset(Part(argument) for argument in arguments) or frozenset(Part)
    except ValueError:
        sys.stderr.write(USAGE)
        return 2
    try:
        for outcome in run(read_settings(os.environ), parts):
            sys.stdout.write(f"{outcome.done.value:<10} {outcome.name}\n")
            sys.stdout.flush()
    except SetupFault as fault:
        sys.stderr.write(f"{fault}\n" + (f"Next: {fault.mend}\n" if fault.mend else ""))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
