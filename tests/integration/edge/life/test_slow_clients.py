"""Far more slow clients than there are places: whoever wants something gets it all the same."""

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

from tests.builders.waiting import eventually_async
from tests.integration.edge.life.running import ROOT, AnEdge, Crowd, alone

PLACES = 400
SLOW = 1500
ENOUGH = 600
SLOWEST_SECONDS = 3.0


@contextmanager
def swarm(port, count):
    """Slow clients in a process of their own; gives what tells how many connections they hold."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.builders.swarm", str(port), str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    seen = [0]
    listening = threading.Thread(target=lambda: seen.extend(int(line) for line in process.stdout))
    listening.start()
    try:
        yield lambda: seen[-1]
    finally:
        process.stdin.close()
        process.wait(20)
        listening.join()
        process.stdout.close()


def test_a14_and_a13_slow_clients_that_want_every_place_keep_nobody_out():
    async def scenario(edge, held):
        await eventually_async(lambda: held() >= PLACES * 0.9, within=30, what=f"{held()} slow connections")
        async with Crowd([edge.port]) as crowd:
            newcomers = 0
            while newcomers < ENOUGH // 6 or crowd.answered.total() < ENOUGH:
                answer = await alone(edge.port, "/api/products/1")
                assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
                newcomers += 1
            assert held() >= PLACES / 2
        return crowd

    with AnEdge(connections=PLACES) as edge, swarm(edge.port, SLOW) as held:
        crowd = asyncio.run(scenario(edge, held))
        assert len(crowd.failures) <= crowd.answered.total() / 100, crowd.failures[:5]
        assert sorted(crowd.seconds)[int(len(crowd.seconds) * 0.99)] < SLOWEST_SECONDS
        assert [line["message"] for line in edge.complaints()] == ["edge.connections.full"]
