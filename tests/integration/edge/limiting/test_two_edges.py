"""Eight clients against two edge processes: together they get what one limit allows, whatever happens to Redis."""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[4]
CLIENTS = 8
BACK_SECONDS = 8
"""Within these both edges have found the Redis again. On a busy machine one that had not would admit too many alone."""
RATES = """
rates:
  exact: {quota: 30, window: 1}
  doubled: {quota: 40, window: 2}
routes:
"""
ROUTE = """
  - name: get_{name}
    method: GET
    path: /api/{name}/{{product_id}}
    summary: One product
    tag: Catalogue
    call: catalog.get_product
    auth: none
    limits: {{address: {name}}}
    arguments: {{product_id: path}}
"""


@pytest.fixture(scope="module")
def edges(server, tmp_path_factory):
    """Where two processes of their own serve."""
    table = tmp_path_factory.mktemp("edges") / "routes.yaml"
    table.write_text(RATES + "".join(ROUTE.format(name=name) for name in ("exact", "doubled")))
    command = [sys.executable, "-m", "tests.builders.limited_edge", server.url, "2", str(table)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        yield [f"http://127.0.0.1:{process.stdout.readline().strip()}" for process in processes]
    finally:
        for process in processes:
            process.communicate(timeout=20)


class Clients:
    """They never stop asking; every answer is kept with the moments between which it was decided."""

    def __init__(self, edges, path):
        self.answers = {200: [], 429: []}
        self._urls = [f"{edge}{path}" for edge in edges]
        self._over = threading.Event()

    def __enter__(self):
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._runs = [self._pool.submit(self._hammer, self._urls[number % 2]) for number in range(CLIENTS)]
        return self

    def __exit__(self, *_fault):
        self._over.set()
        self._pool.shutdown()
        for run in self._runs:
            run.result()  # an answer that is neither fails here

    def _hammer(self, url):
        with httpx.Client(timeout=30) as client:
            while not self._over.wait(0.004):
                sent = time.monotonic()
                status = client.get(url).status_code
                self.answers[status].append((sent, time.monotonic()))

    def most_admitted(self, window, *, since=0.0):
        """The largest number of admissions that surely lie in one span of ``window`` seconds."""
        admitted = [one for one in self.answers[200] if one[0] >= since]
        return max(
            sum(1 for sent, answered in admitted if sent >= first and answered < first + window)
            for first, _ in admitted
        )

    def least_behind_a_refusal(self, window, *, since=0.0):
        """The smallest number of admissions that may lie in the ``window`` seconds before a refusal."""
        return min(
            sum(1 for sent, answered in self.answers[200] if sent <= refused and answered >= asked - window)
            for asked, refused in self.answers[429]
            if asked >= since
        )


def test_together_they_get_exactly_what_is_permitted(edges):
    window, quota = 1, 30
    with Clients(edges, "/api/exact/7") as clients:
        time.sleep(2.5 * window)

    assert len(clients.answers[200]) > quota
    assert clients.most_admitted(window) <= quota
    assert clients.least_behind_a_refusal(window) >= quota - 1


def test_with_redis_killed_and_emptied_they_never_get_more_than_twice_and_then_exactly_once(server, edges):
    window, quota = 2, 40
    with Clients(edges, "/api/doubled/7") as clients:
        time.sleep(0.4)
        server.kill()
        shutil.rmtree(server.home / "appendonlydir")
        time.sleep(0.5)
        server.start()
        back = time.monotonic() + BACK_SECONDS
        time.sleep(BACK_SECONDS + 2.2 * window)

    assert clients.most_admitted(window) <= 2 * quota
    assert clients.most_admitted(window, since=back) <= quota
    assert clients.least_behind_a_refusal(window, since=back + window) >= quota - 1
