"""With two of each a rolling restart shows nobody a failure: no call is lost, none is run twice.

``KIRANA_CHAOS_SEED`` repeats the order of an earlier run.
"""

import os
import signal
import time
from dataclasses import replace

import pytest
from kombu import Connection

from shared.contracts.exchanges import calls_queue
from tests.builders.lots import lots
from tests.builders.opening import opened
from tests.builders.processes import pid_of
from tests.builders.second_edge import two_edges
from tests.builders.shop import a_product, an_admin
from tests.builders.waiting import eventually
from tests.chaos.shoppers import Shoppers
from tests.chaos.test_faults import audit, back_with_another_pid
from tests.stack_fixture import kirana

pytestmark = pytest.mark.takes(90)

SERVICES = ("identity", "catalog", "cart", "order", "notification")
ON_ITS_WAY = 1.0
"""Seconds for what the front has given to an edge, but not sent yet."""


@pytest.fixture
def doubled(stack):
    scaled = kirana(stack.home, "up", *(f"--scale={service}=2" for service in SERVICES))
    assert scaled.returncode == 0, scaled.stderr
    yield stack
    single = kirana(stack.home, "up")
    assert single.returncode == 0, single.stderr


@pytest.fixture
def edges(doubled):
    with two_edges(doubled) as edges:
        yield edges


@pytest.fixture
def fronted(doubled, edges):
    """The doubled stack as clients of its front see it."""
    return opened(replace(doubled, edge_url=edges.url))


def listening(stack, service):
    with Connection(stack.amqp) as connection:
        return connection.channel().queue_declare(calls_queue(service), passive=True).consumer_count


def restart(stack, name):
    victim = pid_of(stack, name)
    os.kill(victim, signal.SIGTERM)
    eventually(lambda: back_with_another_pid(stack, name, victim), within=90, what=name)


def restart_service(stack, name):
    service = name.rpartition("-")[0]
    restart(stack, name)
    eventually(lambda: listening(stack, service) == 2, within=90, what=f"both of {service}")


def restart_edge(stack, edges, name):
    """As behind any balancer: it gets nothing new, and answers what it has."""
    edges.spare(name)
    time.sleep(ON_ITS_WAY)
    restart(stack, name)
    eventually(lambda: edges.serves(name), within=90, what=name)
    edges.share()


def test_a_rolling_restart_in_any_order_under_load_is_seen_by_nobody(fronted, edges, tmp_path):
    with an_admin(fronted) as admin:
        product_ids = [a_product(admin, stock=1_000_000)["id"] for _ in range(4)]
    names = [f"{service}-{number}" for service in SERVICES for number in (1, 2)] + list(edges.names)
    order = lots().sample(names, len(names))
    print(f"in this order: {', '.join(order)}")

    with Shoppers(fronted, product_ids, customers=4, seed="rolling").running() as shoppers:
        for name in order:
            count = len(shoppers.acknowledged)
            if name in edges.names:
                restart_edge(fronted, edges, name)
            else:
                restart_service(fronted, name)
            eventually(lambda c=count: len(shoppers.acknowledged) > c, within=90, what="orders meanwhile")

    assert not shoppers.lies
    assert set(shoppers.statuses) == {200, 201}, shoppers.refusals()
    checked = audit(fronted, shoppers.write(tmp_path / "acknowledged.jsonl"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
