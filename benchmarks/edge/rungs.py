"""The ladder: route tables that differ by one part each, so that the difference of two figures is that part's price."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RATES = {"plenty": {"quota": 100_000, "window": 60}, "hardly": {"quota": 1, "window": 3600}}
"""Scaled up by the stack's own factor: the one is counted exactly and never reached, the other spent at once."""

BOTH = {"address": "plenty", "caller": "plenty"}
KEPT = {"ttl": 600, "vary": "caller-class", "tags": ["product:{product_id}"]}
HELD_SECONDS = 60
"""So long those who take all places wait for a service that stands still."""

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True)
class Rung:
    """One step up.

    ``numbered`` asks for many products in turn, or equal reads would share one call; ``refused`` is answered with 429,
    ``shed`` with 503, as others hold all places.
    """

    name: str
    path: str
    auth: str = "none"
    limits: dict[str, str] | None = None
    kept: bool = False
    numbered: bool = False
    traced: bool = False
    refused: bool = False
    shed: bool = False

    def route(self) -> dict[str, Any]:
        """This rung in the table's words."""
        route: dict[str, Any] = {
            "name": self.path.split("/")[1].replace("-", "_"),
            "method": "GET",
            "path": self.path,
            "summary": self.name,
            "tag": "Benchmark",
            "auth": self.auth,
            "limits": self.limits,
        }
        if "{" not in self.path:
            return route | {"local": "alive"}
        route |= {"call": "catalog.get_product", "arguments": {"product_id": "path"}}
        route |= {"answer": {"etag": "version", "cache_control": "public, no-cache"}}
        route |= {"deadline": HELD_SECONDS} if self.shed else {}
        return route | ({"cache": KEPT} if self.kept else {})


ROUTED = Rung("routed", "/routed")
KNOWN = Rung("+ JWT", "/known", auth="required")
LIMITED = Rung("+ two exact limits", "/limited", auth="required", limits=BOTH)
CACHED = Rung("+ cache hit", "/cached/{product_id}", auth="optional", limits=BOTH, kept=True)
TRACED = Rung("  the same, traced", "/cached/{product_id}", auth="optional", limits=BOTH, kept=True, traced=True)
ASKED = Rung("+ uncached RPC", "/asked/{product_id}", auth="optional", limits=BOTH, numbered=True)
ASKED_TRACED = Rung(
    "+ uncached RPC, traced", "/asked/{product_id}", auth="optional", limits=BOTH, numbered=True, traced=True
)
REFUSED = Rung("  refused (429)", "/refused/{product_id}", auth="optional", limits={"address": "hardly"}, refused=True)
SHED = Rung("  shed at the door (503)", "/shed/{product_id}", auth="optional", limits=BOTH, numbered=True, shed=True)
LADDER = (ROUTED, KNOWN, LIMITED, CACHED, TRACED, ASKED, ASKED_TRACED, REFUSED, SHED)


def write_table(path: Path) -> None:
    """One table, as JSON, which YAML contains; rungs that differ only in what the client sends share a route."""
    routes = {rung.path: rung.route() for rung in LADDER}
    path.write_text(json.dumps({"rates": RATES, "routes": list(routes.values())}, indent=1), encoding="utf-8")
