"""An edge in front of HTTP services, with a table of instances that the test writes in the place of Consul."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace

from sanic import Sanic

from edge.discovery.table import InstanceTable
from edge.upstreams.upstreams import Upstreams
from tests.fakes.edge import collaborators, serving

SERVICE = "things"


def a_route(name="pass", method="GET", path="/things/{rest}", *, http=None, **changes):
    return {
        "name": name,
        "method": method,
        "path": path,
        "summary": "Passed on",
        "tag": "Things",
        "auth": "none",
        "limits": None,
        "http": {"service": SERVICE} | (http or {}),
    } | changes


class Gateway:
    """``client`` asks it; ``parts`` is what it works with."""

    def __init__(self, client, parts, table):
        self.client, self.parts, self.table = client, parts, table
        self.port = client.base_url.port

    def there_are(self, *upstreams):
        """These instances pass their checks, and no others."""
        self.table.replace(SERVICE, tuple(each.instance for each in upstreams))

    @property
    def reception(self):
        """What the edge's connections share."""
        return list(Sanic._app_registry.values())[-1].ctx.reception

    @property
    def service(self):
        return self.parts.upstreams.service(SERVICE)

    def way(self, route="pass"):
        return next(each for each in self.parts.upstreams.ways() if each.route == route)


@asynccontextmanager
async def a_gateway(tmp_path, *routes, clock=None, dice=None, **settings):
    file = tmp_path / "routes.yaml"
    file.write_text(json.dumps({"rates": {}, "routes": list(routes)}))
    table = InstanceTable()
    clocked = {"clock": clock} if clock else {}
    parts = replace(collaborators(**settings), upstreams=Upstreams(table, dice=dice, **clocked))
    try:
        async with serving(parts, file) as client:
            yield Gateway(client, parts, table)
    finally:
        await parts.upstreams.close()
