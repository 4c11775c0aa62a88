"""Runs a private Consul agent, if this machine has one to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kirana.stack.home import Home
from kirana.stack.programs import Program, fingerprint
from kirana.stack.state import CHECKOUT

AGENT = CHECKOUT / "consul" / "agent.json"


def program(home: Home, ports: Mapping[str, int], binary: Path) -> Program:
    """A server of its own: the settings of ``consul/agent.json`` with this stack's ports and folder."""
    here = {
        "data_dir": str(home.root / "consul"),
        "ports": {
            "http": ports["consul"],
            "server": ports["consul_server"],
            "serf_lan": ports["consul_serf"],
            "serf_wan": -1,
            "dns": -1,
            "grpc": -1,
        },
    }
    path = home.write("consul.json", json.dumps(json.loads(AGENT.read_text(encoding="utf-8")) | here, indent=2))
    return Program("consul", (str(binary), "agent", f"-config-file={path}"), fingerprint(path), stop_seconds=10)
