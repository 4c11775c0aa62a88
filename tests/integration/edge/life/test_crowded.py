"""An edge as it is served for real, with every reader's place taken: whoever comes now is turned away at the door."""

import socket
import time
from contextlib import ExitStack

import httpx

from shared.resilience.adaptive import LimitPolicy
from shared.values.identifiers import new_id
from tests.builders.waiting import eventually
from tests.integration.edge.life.running import AnEdge

HELD_SECONDS = 10
SLOW = f"/api/products/{HELD_SECONDS}000"
AT_THE_DOOR = "edge;dur=0.0, rpc;dur=0.0"


def test_with_every_place_taken_readers_are_turned_away_at_the_door_and_found_by_their_ids():
    with AnEdge() as edge, httpx.Client(base_url=f"http://127.0.0.1:{edge.port}", timeout=30) as client:
        assert client.get("/health/live").status_code == 200
        turned_away, alive = eventually(lambda: one_more_in(edge, client), what="one who is turned away at the door")
        asked_as = turned_away.request.headers["x-request-id"]
        told = eventually(lambda: [line for line in edge.logged() if asked_as in str(line)], what="its line")

    assert turned_away.json()["request_id"] == asked_as
    assert alive.status_code == 200
    assert "shed at the door" in told[0]["labels"]["reason"]


def one_more_in(edge, client):
    """How it is turned away at the door, and how a look at the health is answered meanwhile.

    Nothing, if it was not within a while: on a busy machine the first who hold a place may have theirs no more when
    the last come. The door is watched from the first refusal on, but not for long: so somebody has to ask on and on.
    """
    with ExitStack() as held:
        for _ in range(LimitPolicy().first):
            line = held.enter_context(socket.create_connection(("127.0.0.1", edge.port)))
            line.sendall(f"GET {SLOW} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        give_up_at = time.monotonic() + HELD_SECONDS
        while time.monotonic() < give_up_at:
            answer = client.get("/api/products/7", headers={"X-Request-ID": new_id()})
            if (answer.status_code, answer.headers.get("server-timing")) == (503, AT_THE_DOOR):
                return answer, client.get("/health/live")
    return None
