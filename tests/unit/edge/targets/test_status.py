import json
import re
from dataclasses import replace

import pytest
import yaml

from edge.discovery.table import Instance, InstanceTable
from edge.status import siblings
from edge.status.sight import Sight
from tests.fakes.edge import ROUTES, collaborators, serving

pytestmark = pytest.mark.anyio

SECRETS = {
    "amqp_url": "amqp://kirana:sesame@broker",
    "redis_url": "redis://:sesame@redis",
    "cursor_secret": "sesame" * 8,
}


async def test_the_page_loads_nothing_but_its_own_files_and_runs_no_inline_code():
    async with serving(collaborators()) as client:
        page = await client.get("/status")
        links = re.findall(r'(?:href|src)="(/docs/[^"]+)"', page.text)
        answers = [await client.get(link) for link in links]

    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert len(answers) == 4
    assert {answer.status_code for answer in answers} == {200}
    assert all("immutable" in answer.headers["cache-control"] for answer in answers)
    assert not re.findall(r"<script(?![^>]*src=)|style=|\son\w+=|https?://", page.text)


async def test_traffic_is_seen_but_not_the_looking():
    async with serving(collaborators()) as client:
        for path in ("/status", "/health/live", "/health/ready", "/nowhere", "/docs", "/status"):
            await client.get(path)
        told = (await client.get("/status.json")).json()

    assert told["traffic"]["total"] == len(["/nowhere", "/docs"])


async def test_the_figures_hold_no_secret_no_address_and_no_client(tmp_path):
    table = InstanceTable()
    meta = {"pid": "1", "note": "sesame"}
    table.replace("catalog", (Instance("catalog-1", "catalog", "10.9.8.7", 4711, meta=meta, tags=("version=7",)),))
    parts = replace(collaborators(**SECRETS), sight=Sight(table=table))
    async with serving(parts) as client:
        await client.get("/api/orders", headers={"authorization": "Bearer sesame"})
        answer = await client.get("/status.json")

    text = answer.text
    assert answer.json()["instances"] == [
        {"service": "catalog", "id": "catalog-1", "status": "passing", "version": "7"}
    ]
    assert not re.search(r"sesame|10\.9\.8\.7|4711|127\.0\.0\.1|://", text)


async def test_without_consul_it_says_so():
    async with serving(collaborators()) as client:
        assert (await client.get("/status.json")).json()["instances"] is None


async def test_many_who_look_at_once_cost_one_picture(monkeypatch):
    monkeypatch.setattr(siblings, "KEPT_SECONDS", 60.0)
    async with serving(collaborators()) as client:
        first = (await client.get("/status.json")).json()
        second = (await client.get("/status.json")).json()

    assert first["at"] == second["at"]


async def test_a_table_can_restrict_who_sees_it(tmp_path):
    table = yaml.safe_load(ROUTES.read_text())
    for route in table["routes"]:
        if route["name"] in {"status", "status_json"}:
            route["access"] = {"allow": ["10.0.0.0/8"]}
    restricted = tmp_path / "routes.yaml"
    restricted.write_text(json.dumps(table))

    async with serving(collaborators(), restricted) as client:
        answers = [(await client.get(path)).status_code for path in ("/status", "/status.json", "/docs")]

    assert answers == [403, 403, 200]
