"""A catalog that hangs takes no page along that the edge has kept, and keeps nobody waiting for the others for long."""

import os
import signal
import time

from tests.builders.processes import pids
from tests.builders.shop import Client, a_product, an_admin
from tests.builders.waiting import eventually

FRESH_SECONDS = 5


def test_with_the_catalog_hanging_kept_pages_come_stale_and_say_so_and_others_are_a_friendly_503(stack):
    with an_admin(stack) as admin, Client(stack) as client:
        kept, unseen = (f"/api/products/{a_product(admin)['id']}" for _ in range(2))
        eventually(lambda: _has_settled(client, kept), what="a page that the news of its product has reached")
        page = client.get(kept)
        hanging = [pid for name, pid in pids(stack).items() if name.startswith("catalog-")]
        try:
            for pid in hanging:
                os.kill(pid, signal.SIGSTOP)
            refused = client.get(unseen)
            stale = eventually(lambda: _stale(client, kept), within=6 * FRESH_SECONDS)
        finally:
            for pid in hanging:
                os.kill(pid, signal.SIGCONT)
        began = time.monotonic()

        assert (stale.status_code, stale.content) == (200, page.content)
        assert stale.headers["cache-status"].startswith("kirana; hit; ttl=-")
        assert int(stale.headers["age"]) >= FRESH_SECONDS - 1
        assert refused.status_code == 503
        assert (refused.json()["retryable"], "retry-after" in refused.headers) == (True, True)
        eventually(lambda: client.get(kept).headers.get("cache-status") == "kirana; hit")
        print(f"fresh again after {time.monotonic() - began:.1f} s")


def _has_settled(client, path):
    """Whether the page has been kept for a while: the event that the product is new takes a fresh one away."""
    answer = client.get(path)
    return answer.headers.get("cache-status") == "kirana; hit" and int(answer.headers["age"]) >= 2


def _stale(client, path):
    answer = client.get(path)
    return answer if "ttl=-" in answer.headers.get("cache-status", "") else None
