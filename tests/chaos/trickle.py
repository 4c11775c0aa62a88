"""A trickle of the journey: customers who order again and again, and remember what was acknowledged."""

import json
import threading
import time
from contextlib import contextmanager

import httpx

from tests.builders.shop import Client, logged_in, unique

RETRYABLE = {409, 429, 503, 504}


class Trickle:
    """Orders one product through the edge, repeating each with its key until it is answered for good."""

    def __init__(self, stack, product_id, *, customers=2, budget=60.0):
        self._stack = stack
        self._product_id = product_id
        self._budget = budget
        self._stop = threading.Event()
        self._tokens = [logged_in(stack)["access"] for _ in range(customers)]
        self._threads = [threading.Thread(target=self._shop, args=(token,)) for token in self._tokens]
        self.acknowledged: list[dict] = []
        self.unanswered: list[str] = []
        self.statuses: dict[int, int] = {}
        self.slowest = 0.0

    def _shop(self, token):
        with Client(self._stack, token=token) as client:
            while not self._stop.is_set():
                self._order(client, unique("key"))
                time.sleep(0.05)

    def _order(self, client, key):
        deadline = time.monotonic() + self._budget
        while time.monotonic() < deadline:
            answer = self._try(client, key)
            if answer is not None and answer.status_code == 201:
                self.acknowledged.append({"key": key, "order_id": answer.json()["id"]})
                return
            time.sleep(0.3)
        self.unanswered.append(key)

    def _try(self, client, key):
        start = time.monotonic()
        try:
            answer = client.ordering((self._product_id, 1), key=key)
        except httpx.HTTPError:
            return None  # the edge itself was down: the client repeats with its key
        self.slowest = max(self.slowest, time.monotonic() - start)
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        return answer

    @contextmanager
    def running(self):
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(self._budget + 30)

    def write(self, path):
        path.write_text("".join(json.dumps(each) + "\n" for each in self.acknowledged))
        return path
