"""The set-up as a whole: Elasticsearch first, so that no line comes before its fields are known; then Kibana."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from shipper.setup import elasticsearch, kibana
from shipper.setup.outcomes import Outcome
from shipper.setup.server import Server
from shipper.setup.settings import Part, SetupSettings


def run(settings: SetupSettings, parts: frozenset[Part] = frozenset(Part)) -> Iterator[Outcome]:
    """Make everything ready, and tell each thing as it is done. Raises :class:`shipper.setup.faults.SetupFault`."""
    identity = (settings.admin, settings.admin_password) if settings.admin_password else None
    if Part.ELASTICSEARCH in parts:
        url, authority = settings.elasticsearch_url, settings.authority
        with closing(Server("Elasticsearch", url, identity=identity, authority=authority)) as server:
            yield from elasticsearch.make_ready(server, settings)
    if Part.KIBANA in parts:
        url, authority = settings.kibana_url, settings.kibana_authority
        with closing(Server("Kibana", url, identity=identity, authority=authority, headers=kibana.HEADERS)) as server:
            yield from kibana.make_ready(server, settings)
