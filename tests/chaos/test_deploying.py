"""A new version takes the place of the old under load without a failed request, and is taken back when it errs."""

import json
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kirana.deploying.sections import Configuration
from kirana.deploying.ways import EdgeWay, open_front
from kirana.stack import front, ports, releases
from kirana.stack.home import Home
from kirana.stack.state import CHECKOUT
from tests.builders.opening import opened
from tests.builders.processes import pids
from tests.builders.shop import Client, a_product, an_admin, unique
from tests.builders.waiting import eventually
from tests.chaos.shoppers import Shoppers
from tests.stack_fixture import environment_of, kirana

pytestmark = pytest.mark.takes(130)

CUSTOMERS = 4


@pytest.fixture
def fronted(stack):
    """The stack as clients of the front see it."""
    home = Home(stack.home)
    open_front(home)
    fronted = replace(stack, edge_url=EdgeWay(home).url)
    yield opened(fronted)
    for part in ("edge", "catalog"):
        releases.pin(home, part, None)


@pytest.fixture
def settled(fronted):
    """Every part runs the checkout's version, whatever was deployed before."""
    started = kirana(fronted.home, "up")
    assert started.returncode == 0, started.stderr
    return fronted


@pytest.fixture
def shoppers(fronted):
    with an_admin(fronted) as admin:
        product_ids = [a_product(admin, stock=1_000_000)["id"] for _ in range(4)]
    with Shoppers(fronted, product_ids, customers=CUSTOMERS, seed="deploying").running() as shoppers:
        eventually(lambda: shoppers.acknowledged, within=60, what="the first order")
        yield shoppers


def a_source(folder, **changes):
    """A copy of our packages in which these files differ: the text before, and the text after."""
    for package in releases.PACKAGES:
        shutil.copytree(CHECKOUT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (before, after) in changes.items():
        path = folder / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))
    return folder


def started_with(stack, name):
    """The folder whose code this program runs; empty for the checkout."""
    text = (Home(stack.home).conf / "supervisord.conf").read_text()
    return Configuration.read(text).named(name).environment.get("PYTHONPATH", "")


def deployed(stack, *arguments, watch=2):
    return kirana(stack.home, "deploy", *arguments, "--canary", "10", f"--watch={watch}", "--json")


def test_edge_and_catalog_are_replaced_under_load_and_nobody_sees_a_failure(fronted, shoppers, tmp_path):
    source = a_source(tmp_path / "next", **{"edge/app.py": ('"""', f'"""{unique("Newer")}. ')})
    before = pids(fronted)

    done = deployed(fronted, str(source), "--part", "edge", "--part", "catalog")
    served = len(shoppers.acknowledged)
    eventually(lambda: len(shoppers.acknowledged) > served, within=60, what="an order after it")

    assert done.returncode == 0, done.stderr
    edge, catalog = json.loads(done.stdout)
    assert edge["trial"]["canary"]["total"] > 0
    assert catalog["full"]["canary"]["total"] > 0
    assert edge["trial"]["canary"]["failed"] == catalog["trial"]["canary"]["failed"] == 0
    assert not shoppers.lies
    assert set(shoppers.statuses) == {200, 201}, shoppers.refusals()
    after = pids(fronted)
    assert {name for name in ("edge", "catalog-1", "order-1") if before[name] != after[name]} == {"edge", "catalog-1"}
    assert not {"edge-canary", "catalog-canary"} & set(after)
    folder = started_with(fronted, "edge")
    assert folder == started_with(fronted, "catalog-1")
    assert (fronted.home / "releases").as_posix() in folder


def test_a_version_that_errs_is_taken_back_and_what_it_could_not_read_the_old_one_read(fronted, shoppers, tmp_path):
    broken = ("if route.method is None:", 'if route.method is None or route.policy.method == "GET":')
    source = a_source(tmp_path / "bad", **{"edge/targets/rpc.py": broken})
    before = pids(fronted)["edge"], started_with(fronted, "edge")

    done = deployed(fronted, str(source), watch=60)  # it ends at the first complaint
    served = len(shoppers.acknowledged)
    eventually(lambda: len(shoppers.acknowledged) > served, within=60, what="an order after it")

    assert done.returncode == 13, done.stdout + done.stderr
    assert "was taken back" in done.stderr
    assert not shoppers.lies
    assert set(shoppers.statuses) == {200, 201}, shoppers.refusals()
    assert (pids(fronted)["edge"], started_with(fronted, "edge")) == before
    assert "edge-canary" not in pids(fronted)
    assert front.weight(Home(fronted.home)) == 0


@contextmanager
def searching(stack):
    """Somebody who looks for something else each time, so that no cache has it; gives what came of it so far."""
    enough, statuses = threading.Event(), []

    def search():
        with Client(stack) as client:
            while not enough.is_set():
                statuses.append(client.get(f"/api/products?q={unique('thing')}").status_code)

    searcher = threading.Thread(target=search)
    searcher.start()
    try:
        yield statuses
    finally:
        enough.set()
        searcher.join()


def test_a_version_of_a_service_that_errs_is_taken_back_and_the_old_one_has_all_calls_again(
    fronted, shoppers, tmp_path
):
    broken = (
        "return use_cases.list_products(",
        'raise RuntimeError("this version is broken")\n            return use_cases.list_products(',
    )
    source = a_source(tmp_path / "bad", **{"rpc_services/catalog/service.py": broken})
    before = pids(fronted)["catalog-1"], started_with(fronted, "catalog-1")

    with searching(fronted) as statuses:
        done = deployed(fronted, str(source), "--part", "catalog", watch=60)  # it ends at the first complaint
        taken_back_after = len(statuses)
        eventually(lambda: len(statuses) >= taken_back_after + 30, what="searches after it")
        served = len(shoppers.acknowledged)
        eventually(lambda: len(shoppers.acknowledged) > served, within=60, what="an order after it")

    assert done.returncode == 13, done.stdout + done.stderr
    assert "was taken back" in done.stderr
    assert {200, 500} <= set(statuses[:taken_back_after]) <= {200, 500, 503, 504}
    assert set(statuses[taken_back_after + 1 :]) == {200}
    assert not shoppers.lies
    assert set(shoppers.statuses) == {200, 201}, shoppers.refusals()
    assert (pids(fronted)["catalog-1"], started_with(fronted, "catalog-1")) == before
    assert "catalog-canary" not in pids(fronted)


@contextmanager
def on_trial(stack, source):
    """A deployment that looks at its version for a long time, as a process."""
    begun = subprocess.Popen(
        [sys.executable, "-m", "kirana.cli", "deploy", str(source), "--canary", "30", "--watch", "300"],
        env=environment_of(stack.home),
        stderr=subprocess.PIPE,
        text=True,
    )
    with begun:
        try:
            eventually(lambda: front.weight(Home(stack.home)) == 30, within=120, what="the trial")
            yield begun
        finally:
            begun.kill()


def test_a_deployment_that_is_killed_or_called_off_ends_with_the_old_version_and_no_failure(
    settled, shoppers, tmp_path
):
    source = a_source(tmp_path / "next", **{"edge/app.py": ('"""', f'"""{unique("Newer")}. ')})
    before = pids(settled)

    with on_trial(settled, source) as deployment:
        deployment.kill()
    assert "edge-canary" in pids(settled)
    mended = kirana(settled.home, "up")
    assert mended.returncode == 0, mended.stderr
    assert front.weight(Home(settled.home)) == 0
    assert pids(settled) == before

    with on_trial(settled, source) as deployment:
        deployment.terminate()
        said = deployment.communicate(timeout=90)[1]
    served = len(shoppers.acknowledged)
    eventually(lambda: len(shoppers.acknowledged) > served, within=60, what="an order after it")

    assert deployment.returncode == 130, said
    assert "taken back" in said
    assert front.weight(Home(settled.home)) == 0
    assert pids(settled) == before
    assert not shoppers.lies
    assert set(shoppers.statuses) == {200, 201}, shoppers.refusals()


def test_a_version_that_does_not_start_gets_no_traffic_and_the_old_one_serves_on(fronted, shoppers, tmp_path):
    source = a_source(
        tmp_path / "dead", **{"edge/app.py": ("SANIC_SETTINGS:", 'raise SystemExit("no")\nSANIC_SETTINGS:')}
    )

    done = deployed(fronted, str(source))

    assert done.returncode == 7, done.stdout + done.stderr
    assert not shoppers.lies
    assert set(shoppers.statuses) == {200, 201}, shoppers.refusals()
    assert "edge-canary" not in pids(fronted)


HANGS_AFTER_A_WHILE = """
    if exchange.request.path.startswith("/api"):
        SEEN.append(1)
        if len(SEEN) > 30:
            import asyncio

            await asyncio.Event().wait()
"""


def test_a_version_that_begins_to_hang_is_taken_back_and_the_old_one_answers_what_it_held(fronted, shoppers, tmp_path):
    """It accepts what comes and says that it is ready; and what it never answers is counted nowhere."""
    begins = "    offered = exchange.header("
    source = a_source(tmp_path / "hangs", **{"edge/stages/correlate.py": (begins, HANGS_AFTER_A_WHILE + begins)})
    path = source / "edge" / "stages" / "correlate.py"
    path.write_text(path.read_text().replace("\nasync def correlate(", "\nSEEN = []\n\n\nasync def correlate(", 1))
    before = started_with(fronted, "edge")

    done = deployed(fronted, str(source), watch=60)  # it ends at the first complaint
    served = len(shoppers.acknowledged)
    eventually(lambda: len(shoppers.acknowledged) > served, within=60, what="an order after it")

    assert done.returncode == 13, done.stdout + done.stderr
    assert "it has answered nothing for" in done.stderr
    assert not shoppers.lies
    # Of a change that it held nobody knows, until it is repeated; and a client has patience of its own.
    assert set(shoppers.statuses) <= {200, 201, "504 outcome.unknown", "edge away"}, shoppers.refusals()
    assert started_with(fronted, "edge") == before
    assert "edge-canary" not in pids(fronted)


def test_the_front_gives_the_canary_its_share_and_what_it_cannot_read_to_the_old_version(fronted):
    home = Home(fronted.home)
    front.weigh(home, 10)
    try:
        with standing_in(ports.chosen_in(home.root)["canary"]), Client(fronted) as client:
            answers = [client.get("/openapi.json").status_code for _ in range(1000)]
        with Client(fronted) as client:
            front.weigh(home, 100)
            orphaned = {client.get("/openapi.json").status_code for _ in range(20)}
    finally:
        front.weigh(home, 0)

    # Of a thousand draws at a tenth, one in a million runs lies further away than five deviations of 9.5.
    assert 50 <= answers.count(202) <= 150
    assert answers.count(200) == 1000 - answers.count(202)
    assert orphaned == {200}


@contextmanager
def standing_in(port):
    """In the place of the canary, and told from an edge by its status."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield
        server.shutdown()
        serving.join()
