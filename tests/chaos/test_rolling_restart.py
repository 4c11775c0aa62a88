"""With two instances of a service a rolling restart shows nobody a failure: no call is lost, none is run twice."""

import os
import signal

import pytest
from kombu import Connection

from shared.contracts.exchanges import calls_queue
from tests.builders.processes import pid_of
from tests.builders.shop import a_product, an_admin
from tests.builders.waiting import eventually
from tests.chaos.shoppers import Shoppers
from tests.chaos.test_faults import audit, back_with_another_pid
from tests.stack_fixture import kirana

pytestmark = pytest.mark.takes(75)

SERVICES = ("identity", "catalog", "cart", "order", "notification")


@pytest.fixture
def doubled(stack):
    scaled = kirana(stack.home, "up", *(f"--scale={service}=2" for service in SERVICES))
    assert scaled.returncode == 0, scaled.stderr
    yield stack
    single = kirana(stack.home, "up")
    assert single.returncode == 0, single.stderr


def listening(stack, service):
    with Connection(stack.amqp) as connection:
        return connection.channel().queue_declare(calls_queue(service), passive=True).consumer_count


def test_a_rolling_restart_under_load_is_seen_by_nobody(doubled, tmp_path):
    with an_admin(doubled) as admin:
        product_ids = [a_product(admin, stock=1_000_000)["id"] for _ in range(4)]

    with Shoppers(doubled, product_ids, customers=4, seed="rolling").running() as shoppers:
        for name in (f"{service}-{number}" for service in SERVICES for number in (1, 2)):
            service, victim, count = name.rpartition("-")[0], pid_of(doubled, name), len(shoppers.acknowledged)
            os.kill(victim, signal.SIGTERM)
            eventually(lambda n=name, v=victim: back_with_another_pid(doubled, n, v), within=90, what=name)
            eventually(lambda s=service: listening(doubled, s) == 2, within=90, what=f"both of {service}")
            eventually(lambda c=count: len(shoppers.acknowledged) > c, within=90, what="orders meanwhile")

    assert not shoppers.lies
    assert set(shoppers.statuses) == {200, 201}, shoppers.refusals()
    checked = audit(doubled, shoppers.write(tmp_path / "acknowledged.jsonl"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
