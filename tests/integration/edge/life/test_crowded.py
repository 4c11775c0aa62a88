"""An edge as it is served for real, with every reader's place taken: whoever comes now is turned away at the door."""

import socket
from contextlib import ExitStack

import httpx

from shared.resilience.adaptive import LimitPolicy
from tests.builders.waiting import eventually
from tests.integration.edge.life.running import AnEdge

SLOW = "/api/products/3000"
AT_THE_DOOR = "edge;dur=0.0, rpc;dur=0.0"


def test_with_every_place_taken_readers_are_turned_away_at_the_door_and_found_by_their_ids():
    with (
        AnEdge() as edge,
        ExitStack() as held,
        httpx.Client(base_url=f"http://127.0.0.1:{edge.port}", timeout=10) as client,
    ):
        assert client.get("/health/live").status_code == 200
        for _ in range(LimitPolicy().first):
            line = held.enter_context(socket.create_connection(("127.0.0.1", edge.port)))
            line.sendall(f"GET {SLOW} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        eventually(lambda: client.get("/api/products/7").status_code == 503, within=5, what="the first refusal")
        turned_away = client.get("/api/products/7", headers={"X-Request-ID": "at-the-door"})
        alive = client.get("/health/live")
        told = eventually(lambda: [line for line in edge.logged() if "at-the-door" in str(line)], what="its line")

    assert (turned_away.status_code, turned_away.headers["server-timing"]) == (503, AT_THE_DOOR)
    assert turned_away.json()["request_id"] == "at-the-door"
    assert alive.status_code == 200
    assert "shed at the door" in told[0]["labels"]["reason"]
