"""What people find in Kibana: the data view, the saved searches, the dashboard, and a role that may read them.

Kibana fills in what it is not told, so nothing can be compared: each run writes all of it again, under the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from shipper.setup.faults import NotTaken
from shipper.setup.outcomes import Done, Outcome
from shipper.setup.server import Server
from shipper.setup.settings import SetupSettings

HEADERS = {"kbn-xsrf": "true", "elastic-api-version": "2023-10-31"}
DATA_VIEW = "kirana-logs"
DASHBOARD = "kirana-shop"
READER = "kirana_reader"
INDEX_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"


def make_ready(server: Server, settings: SetupSettings) -> Iterator[Outcome]:
    """Write everything, and tell each thing as it is done. Raises :class:`shipper.setup.faults.SetupFault`."""
    server.wait("/api/status", _is_available, patience=settings.patience_seconds)
    folder = settings.folder / "kibana"

    def read(name: str) -> Any:
        return orjson.loads((folder / name).read_bytes())

    server.ask("POST", "/api/data_views/data_view", read("data-view.json"))
    yield Outcome(f"data view {DATA_VIEW}", Done.WRITTEN)
    searches = read("searches.json")
    _import(server, searches)
    yield from (Outcome(f"saved search {search['id']}", Done.WRITTEN) for search in searches)
    server.ask("PUT", f"/api/dashboards/{DASHBOARD}", read("dashboard.json"))
    yield Outcome(f"dashboard {DASHBOARD}", Done.WRITTEN)
    if settings.admin_password:
        server.ask("PUT", f"/api/security/role/{READER}", read("reader-role.json"))
        yield Outcome(f"role {READER}", Done.WRITTEN)


def saved_objects(searches: Sequence[Mapping[str, Any]]) -> bytes:
    """The searches as Kibana imports them, one JSON object a line; Kibana 9 brings their version up to its own."""
    return b"".join(orjson.dumps(_saved_object(search), option=orjson.OPT_APPEND_NEWLINE) for search in searches)


def _saved_object(search: Mapping[str, Any]) -> dict[str, Any]:
    source = {
        "query": {"query": search["query"], "language": "kuery"},
        "filter": [],
        "indexRefName": INDEX_REFERENCE,
    }
    return {
        "type": "search",
        "id": search["id"],
        "attributes": {
            "title": search["title"],
            "description": search["description"],
            "columns": search["columns"],
            "sort": search["sort"],
            "grid": {},
            "hideChart": False,
            "isTextBasedQuery": False,
            "timeRestore": False,
            "kibanaSavedObjectMeta": {"searchSourceJSON": orjson.dumps(source).decode()},
        },
        "references": [{"id": DATA_VIEW, "name": INDEX_REFERENCE, "type": "index-pattern"}],
        "coreMigrationVersion": "8.8.0",
        "typeMigrationVersion": "10.5.0",
    }


def _import(server: Server, searches: Sequence[Mapping[str, Any]]) -> None:
    file = {"file": ("searches.ndjson", saved_objects(searches), "application/ndjson")}
    answer = server.ask("POST", "/api/saved_objects/_import?overwrite=true", files=file)
    if not answer.get("success"):
        raise NotTaken(f"Kibana took only {answer.get('successCount')} saved searches: {answer.get('errors')}")


def _is_available(status: Any) -> bool:
    """Kibana says more to those who may know more, but this to everybody."""
    return isinstance(status, dict) and status.get("status", {}).get("overall", {}).get("level") == "available"
