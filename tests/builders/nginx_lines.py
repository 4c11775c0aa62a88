"""Lines as nginx writes them of what it answers itself: its own format, with these values in the place of variables."""

import re
from pathlib import Path

_CONFIGURATION = (Path(__file__).parents[2] / "docker" / "nginx" / "spooled.conf").read_text(encoding="utf-8")
(_FORMAT,) = re.findall(r"^log_format spooled escape=json\n(.*?);$", _CONFIGURATION, re.MULTILINE | re.DOTALL)
_VALUES = {
    "moment": "2026-11-21T10:00:00.000000Z",
    "nanoseconds": "65000000000",
    "named": "5f1c",
    "request_method": "POST",
    "status": "504",
    "path": "/api/orders",
    "pid": "7",
    "instance": "nginx",
    "reason": "the edge did not answer in time: 172.29.84.3:8000 (504)",
}


def a_front_line(**values):
    """One line with its end; ``values`` by nginx's name of the variable, already escaped."""
    said = _VALUES | {name: str(value) for name, value in values.items()}
    text = "".join(re.findall(r"'([^']*)'", _FORMAT))
    return re.sub(r"\$(\w+)", lambda found: said.get(found[1], ""), text).encode() + b"\n"
