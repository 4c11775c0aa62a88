"""One request is one trace over every process that worked for it, and its log lines name the same spans."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from shared.values.identifiers import new_id
from tests.integration.tracing.conftest import flat, found


def a_trace(flags="01"):
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return trace_id, f"00-{trace_id}-{span_id}-{flags}"


def add_to_cart(shop, traceparent, **more):
    asked = {"product_id": shop.product_id, "quantity": 1}
    answer = shop.client.post("/api/cart/items", json=asked, headers={"traceparent": traceparent, **more})
    assert answer.status_code == 200, answer.text
    return answer


def is_about_limits(span):
    """The limiter waits for Redis for moments only: on a busy machine that may fail, and nobody notices."""
    return span.attributes.get("db.system.name") == "redis" and span.service == "edge"


def test_a_request_is_followed_from_the_edge_through_the_broker_to_sql_and_redis(shop):
    trace_id, traceparent = a_trace()

    add_to_cart(shop, traceparent)

    spans = shop.spans(
        trace_id,
        ("edge", "server", "POST /api/cart/items"),
        ("cart", "server", "cart.add_item"),
        ("cart", "client", "EVALSHA"),
        ("catalog", "server", "catalog.get_products"),
        ("catalog", "client", "SELECT"),
    )
    (request,) = found(spans, "edge", "server", "POST /api/cart/items")
    (asked,) = found(spans, "edge", "client", "cart.add_item")
    (ran,) = found(spans, "cart", "server", "cart.add_item")
    (asked_on,) = found(spans, "cart", "client", "catalog.get_products")
    (ran_on,) = found(spans, "catalog", "server", "catalog.get_products")
    assert request.parent_id == traceparent[36:52]
    assert [asked.parent_id, ran.parent_id] == [request.span_id, asked.span_id]
    assert ran_on.parent_id == asked_on.span_id
    assert ran.span_id in {span.span_id for span in up_from(asked_on, spans)}
    assert {span.parent_id for span in found(spans, "catalog", "client", "SELECT")} == {ran_on.span_id}
    assert ran.span_id in {span.parent_id for span in found(spans, "cart", "client", "EVALSHA")}
    assert all(span.ended >= span.began > time.time_ns() - 600e9 for span in spans)
    assert [span for span in spans if span.has_failed and not is_about_limits(span)] == []


def up_from(span, spans):
    """The span's ancestors."""
    by_id = {each.span_id: each for each in spans}
    while span := by_id.get(span.parent_id):
        yield span


def test_spans_say_what_they_are_in_the_words_of_the_conventions_and_tell_no_secrets(shop):
    trace_id, traceparent = a_trace()

    answer = add_to_cart(shop, traceparent, **{"x-request-id": "asked-1"})

    spans = shop.spans(
        trace_id, ("edge", "server", "POST"), ("catalog", "client", "SELECT"), ("cart", "client", "EVAL")
    )
    (request,) = found(spans, "edge", "server", "POST")
    sql = found(spans, "catalog", "client", "SELECT")[0]
    redis = found(spans, "cart", "client", "EVALSHA")[0]
    assert request.attributes["http.route"] == "/api/cart/items"
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["kirana.request.id"] == "asked-1"
    assert request.resource["service.instance.id"] == "edge-1"
    assert request.resource["deployment.environment.name"] == "local"
    assert sql.attributes["db.system.name"] == "postgresql"
    assert "FROM products" in sql.attributes["db.query.text"]
    assert redis.attributes["db.system.name"] == "redis"
    token = answer.headers["x-cart-token"]
    assert not [span for span in spans if token in str(span.attributes)]
    assert shop.collector.headers["x-key"] == "a secret"


def test_log_lines_name_the_spans_that_the_collector_has_and_their_parents_are_lines_too(shop):
    trace_id, traceparent = a_trace()

    add_to_cart(shop, traceparent)

    shop.spans(trace_id, ("edge", "server", "POST"), ("cart", "server", "cart."), ("catalog", "server", "catalog."))
    lines = {
        flat(line)["service.name"]: flat(line)
        for line in shop.lines(trace_id)
        if flat(line)["event.action"] in {"http.request", "rpc.call"}
    }
    recorded = {span.service: span.span_id for span in shop.collector.of_trace(trace_id) if span.kind == "server"}
    assert {service: line["span.id"] for service, line in lines.items()} == recorded
    assert lines["edge"]["labels.parent_span_id"] == traceparent[36:52]
    assert lines["cart"]["labels.parent_span_id"] == lines["edge"]["span.id"]
    assert lines["catalog"]["labels.parent_span_id"] == lines["cart"]["span.id"]


def test_an_event_stays_in_the_trace_of_the_order_that_it_tells_of(shop):
    trace_id, traceparent = a_trace()
    headers = {"nameko.traceparent": traceparent, "nameko.operation_id": new_id(), "nameko.request_id": "order-1"}

    placed = shop.call(
        "order.place_order",
        headers=headers,
        user_id=new_id(),
        items=[{"product_id": shop.product_id, "quantity": 1}],
    )

    assert placed.result["status"] == "confirmed", placed.body
    spans = shop.spans(
        trace_id,
        ("order", "server", "order.place_order"),
        ("order", "producer", "send order.placed"),
        ("cart", "consumer", "process order.placed"),
        ("order", "client", "COMMIT"),
        ("catalog", "client", "COMMIT"),
    )
    (ran,) = found(spans, "order", "server", "order.place_order")
    (sent,) = found(spans, "order", "producer", "send order.placed")
    (handled,) = found(spans, "cart", "consumer", "process order.placed")
    assert [sent.parent_id, handled.parent_id] == [ran.span_id, sent.span_id]
    (line,) = [flat(line) for line in shop.lines(trace_id) if flat(line)["event.action"] == "event.handled"]
    assert (line["span.id"], line["labels.parent_span_id"]) == (handled.span_id, ran.span_id)


def test_a_frame_links_to_every_call_that_travelled_in_it(shop):
    traces = [a_trace() for _ in range(24)]

    with ThreadPoolExecutor(len(traces)) as pool:
        list(pool.map(lambda trace: add_to_cart(shop, trace[1]), traces))

    asked = [
        found(shop.spans(trace_id, ("edge", "client", "cart.add_item")), "edge", "client", "cart.add_item")[0].span_id
        for trace_id, _ in traces
    ]
    frames = [span for span in shop.collector.spans if span.service == "edge" and span.name == "send cart.batch"]
    linked = [link for frame in frames for link in frame.links]
    assert sorted(link for link in linked if link in asked) == sorted(asked)
    assert all(frame.attributes["messaging.batch.message_count"] == len(frame.links) for frame in frames)
    assert all(frame.parent_id in frame.links for frame in frames)


def test_a_request_of_a_trace_that_is_not_recorded_leaves_no_span_but_its_lines(shop):
    trace_id, traceparent = a_trace("00")
    later_id, later = a_trace()

    add_to_cart(shop, traceparent)
    add_to_cart(shop, later)

    shop.spans(later_id, ("edge", "server", "POST"), ("catalog", "server", "catalog."), ("cart", "server", "cart."))
    assert not shop.collector.of_trace(trace_id)
    assert {flat(line)["service.name"] for line in shop.lines(trace_id)} >= {"edge", "cart", "catalog"}


def test_a_fault_of_a_service_is_a_fault_of_its_span_and_a_refusal_is_not(shop):
    trace_id, traceparent = a_trace()

    answer = shop.client.get("/api/products/999999", headers={"traceparent": traceparent})

    assert answer.status_code == 404
    spans = shop.spans(trace_id, ("edge", "server", "GET"), ("catalog", "server", "catalog.get_product"))
    (ran,) = found(spans, "catalog", "server", "catalog.get_product")
    assert ran.attributes["rpc.response.status_code"] == answer.json()["code"]
    assert [span for span in spans if span.has_failed and not is_about_limits(span)] == []


def test_a_collector_that_hangs_holds_nobody_up(shop):
    shop.collector.free.clear()
    try:
        began = time.monotonic()
        for _ in range(20):
            add_to_cart(shop, a_trace()[1])
        seconds = time.monotonic() - began
    finally:
        shop.collector.free.set()

    assert seconds < 20
