"""A broker out of memory or disk takes nothing in: the shop says so at once, and goes on by itself afterwards."""

import re
import subprocess
from contextlib import contextmanager
from statistics import median

import httpx
import psutil
import pytest

from edge.rpc.link import CONFIRM_SECONDS
from kirana.stack.packages import rabbitmq_script
from tests.builders.opening import opened, ready
from tests.builders.processes import pid_of, pids
from tests.builders.shop import Client, a_customer, a_product, an_admin, settled, unique
from tests.builders.waiting import eventually
from tests.chaos.test_faults import LONGEST_ANSWER_SECONDS, audit
from tests.chaos.test_second_tries import orders_with
from tests.chaos.trickle import Trickle

pytestmark = pytest.mark.takes(30)

ALARMS = {
    "memory": ("set_vm_memory_high_watermark absolute", "1", "vm_memory_high_watermark.absolute"),
    "disk": ("set_disk_free_limit", "9999999GB", "disk_free_limit.absolute"),
}
READS = ("/api/cart", "/api/users/me", "/api/orders")
ROUNDS = 10
REFUSALS = {503: {"service.unavailable", "deadline.passed"}, 504: {"outcome.unknown"}}


@pytest.fixture
def products(stack):
    """One that the trickle buys, one that is asked for during the alarm, one that is only looked at."""
    with an_admin(opened(stack)) as admin:
        return [a_product(admin, stock=100_000)["id"] for _ in range(3)]


def ctl(stack, *words):
    """With the broker's own environment: its node's name, its cookie and its port mapper are in there."""
    command = [rabbitmq_script().with_name("rabbitmqctl"), "-q", *words]
    environment = psutil.Process(pid_of(stack, "rabbitmq")).environ()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def an_alarm(stack, kind):
    """The limit below what the broker uses, or above what is left; then again as the broker was configured."""
    command, impossible, setting = ALARMS[kind]
    configured = (stack.home / "conf" / "rabbitmq.conf").read_text()
    usual = re.search(rf"^{re.escape(setting)} = (\S+)$", configured, re.MULTILINE)[1]
    try:
        ctl(stack, *command.split(), impossible)
        yield
    finally:
        ctl(stack, *command.split(), usual)


def assert_truthful(answers, good):
    for answer in answers:
        assert answer.status_code in {good, *REFUSALS}, answer.text
        if answer.status_code in REFUSALS:
            assert answer.json()["code"] in REFUSALS[answer.status_code], answer.text
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert int(answer.headers["retry-after"]) >= 1
    seconds = [answer.elapsed.total_seconds() for answer in answers]
    assert median(seconds) < CONFIRM_SECONDS  # nobody waits for a confirm of a broker that has said it takes nothing
    assert max(seconds) < LONGEST_ANSWER_SECONDS


@pytest.mark.parametrize("kind", ALARMS)
def test_during_an_alarm_of_the_broker_the_shop_tells_the_truth_at_once_and_then_goes_on(
    stack, products, tmp_path, kind
):
    bought, asked, looked_at = products
    before, reads, orders, keys = pids(stack), [], [], []

    with Trickle(stack, bought).running() as trickle, a_customer(stack) as customer, Client(stack) as guest:
        eventually(lambda: len(trickle.acknowledged) >= 3, within=90)
        page = f"/api/products/{looked_at}"
        eventually(lambda: guest.get(page).headers.get("cache-status", "").startswith("kirana; hit"))
        with an_alarm(stack, kind):
            eventually(lambda: customer.get("/api/cart").status_code == 503, what="a refusal")
            for _ in range(ROUNDS):
                reads += [customer.get(path) for path in READS]
                keys.append(unique("key"))
                orders.append(customer.ordering((asked, 1), key=keys[-1]))
                assert guest.get("/health/live").status_code == 200
                assert guest.get(page).status_code == 200
            assert not ready(stack)
        eventually(lambda: ready(stack), within=90)
        count = len(trickle.acknowledged)
        eventually(lambda: len(trickle.acknowledged) >= count + 3, within=90)
        answers = [settled(lambda k=key: customer.ordering((asked, 1), key=k)) for key in keys]

    assert_truthful(reads, 200)
    assert_truthful(orders, 201)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == len(keys) == orders_with(stack, asked)
    assert pids(stack) == before
    assert not trickle.unanswered
    checked = audit(stack, trickle.write(tmp_path / "acknowledged.jsonl"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
