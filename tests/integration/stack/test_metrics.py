"""What a stack's processes tell Prometheus, compared with what was done to them."""

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from shared.metrics.families import FAMILIES
from tests.builders.opening import ready
from tests.builders.shop import a_customer, a_product, an_admin
from tests.builders.waiting import eventually


def scraped(stack, program):
    """Name and labels, but for the worker, of each sample: the sum over workers."""
    where = stack.metrics[program]
    answer = eventually(lambda: httpx.get(where, timeout=10), despite=(httpx.TransportError,))  # it may just restart
    assert answer.status_code == 200, answer.text
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = frozenset((name, value) for name, value in sample.labels.items() if name != "worker")
            found[sample.name, labels] = found.get((sample.name, labels), 0) + sample.value
    return found


def value(samples, name, **labels):
    """Of all series that have these labels."""
    return sum(
        number for (named, its), number in samples.items() if named == name and labels.items() <= dict(its).items()
    )


NOT_HERE = {"kirana_edge_stage_failures_total"}
"""Told by plugins, of which the shop's own table names none."""


class Growth:
    """How much a program's counters have grown since this was made."""

    def __init__(self, stack, program):
        self._stack, self._program = stack, program
        self._before = scraped(stack, program)

    def of(self, name, **labels):
        return value(scraped(self._stack, self._program), name, **labels) - value(self._before, name, **labels)


def an_order(stack):
    with an_admin(stack) as admin, a_customer(stack) as customer:
        ordered = customer.ordering((a_product(admin)["id"], 1))
    assert ordered.status_code == 201, ordered.text


def test_every_documented_metric_is_told_by_somebody(stack):
    an_order(stack)

    def missing():
        told = {name for program in stack.metrics for name, _ in scraped(stack, program)}
        told |= {name.removesuffix("_bucket") for name in told}
        return {each.name for each in FAMILIES} - told - NOT_HERE

    eventually(lambda: not missing(), what=f"{missing()}")


def test_every_process_of_ours_tells(stack):
    for program in stack.metrics:
        told = {name for name, _ in scraped(stack, program)}
        assert {"kirana_broker_connected", "process_cpu_seconds_total"} <= told, program


def test_calls_are_counted_where_they_are_made_and_where_they_are_run(stack):
    reads = {"service": "catalog", "method": "get_product"}
    with an_admin(stack) as admin:
        products = [a_product(admin) for _ in range(5)]
        edge, catalog = Growth(stack, "edge"), Growth(stack, "catalog-1")

        for product in products:  # each once: another look would be answered from the cache
            assert admin.get(f"/api/products/{product['id']}").status_code == 200
        for _ in range(3):
            assert admin.get("/api/products/999999999").status_code == 404

    assert edge.of("kirana_rpc_calls_total", **reads, outcome="answered") == 5
    assert edge.of("kirana_rpc_calls_total", **reads, outcome="refused") == 3
    assert edge.of("kirana_rpc_calls_total", **reads) == 8
    assert edge.of("kirana_rpc_call_seconds_count", **reads) == 8
    assert catalog.of("kirana_rpc_run_seconds_count", **reads, outcome="answered") == 5
    assert catalog.of("kirana_rpc_run_seconds_count", **reads, outcome="refused") == 3
    assert catalog.of("kirana_rpc_queue_seconds_count", **reads) == 8
    assert 0 < catalog.of("kirana_rpc_run_seconds_sum", **reads) < edge.of("kirana_rpc_call_seconds_sum", **reads)


def test_an_order_can_be_followed_from_the_outbox_to_who_hears_of_it(stack):
    order, notification = Growth(stack, "order-1"), Growth(stack, "notification-1")

    an_order(stack)

    assert order.of("kirana_rpc_calls_total", service="catalog", method="reserve_stock", outcome="answered") == 1
    eventually(lambda: order.of("kirana_events_published_total", type="order.placed") == 1)
    eventually(lambda: notification.of("kirana_events_handled_total", type="order.placed", outcome="handled") == 1)
    eventually(lambda: value(scraped(stack, "order-1"), "kirana_outbox_oldest_seconds") < 1)


def test_every_service_is_seen_listening_behind_a_closed_breaker(stack):
    eventually(lambda: value(scraped(stack, "edge"), "kirana_rpc_consumers", service="cart") >= 1)

    def are_closed():  # whoever asks how the shop is asks every service, and so closes what a test before has opened
        return ready(stack) and value(scraped(stack, "edge"), "kirana_rpc_breaker_state") == 0

    eventually(are_closed, every=1, what="closed breakers")


def test_a_shop_client_finds_no_metrics(stack):
    assert httpx.get(f"{stack.edge_url}/metrics").status_code == 404


def test_metrics_listen_on_loopback_alone(stack):
    ports = {int(address.split(":")[2].partition("/")[0]) for address in stack.metrics.values()}

    listening = [each.laddr for each in psutil.net_connections("inet") if each.status == psutil.CONN_LISTEN]

    assert {each.ip for each in listening if each.port in ports} == {"127.0.0.1"}
