"""Makes the official client as the shipper needs it: it tries once, and sends what it is given as it is."""

from __future__ import annotations

import logging
import os
from typing import Any

os.environ.setdefault(
    "OTEL_PYTHON_INSTRUMENTATION_ELASTICSEARCH_ENABLED", "false"
)  # to ship lines is no request's work

from elasticsearch import Elasticsearch
from elasticsearch.serializer import CompatibilityModeNdjsonSerializer

from shipper.settings import Destination

WHAT_MATTERS = ("errors", "items.create.status", "items.create.error", "items.create.failure_store")
"""Of an answer: a tenth of what Elasticsearch would say of each record."""


class _AsItIs(CompatibilityModeNdjsonSerializer):
    """The body was compressed before: the client would do it at gzip's slowest level, and again at each try."""

    def dumps(self, data: Any) -> bytes:
        return data if isinstance(data, bytes) else super().dumps(data)


def connect(destination: Destination, *, connections: int) -> Elasticsearch:
    """A client for ``connections`` threads. It opens no connection yet."""
    for name in ("elastic_transport", "elastic_transport.node", "elastic_transport.transport", "elasticsearch"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the shipper says in one line what they say at each try
    return Elasticsearch(
        list(destination.urls),
        **_identity(destination),
        request_timeout=destination.request_seconds,
        max_retries=0,
        retry_on_status=(),
        retry_on_timeout=False,
        connections_per_node=connections,
        serializers={_AsItIs.mimetype: _AsItIs()},
    )


def _identity(destination: Destination) -> dict[str, Any]:
    identity: dict[str, Any] = {"ca_certs": destination.authority} if destination.authority else {}
    if destination.api_key:
        return identity | {"api_key": destination.api_key}
    if destination.user:
        return identity | {"basic_auth": (destination.user, destination.password)}
    return identity
