from prometheus_client.parser import text_string_to_metric_families

from edge.metrics.traffic import BOUNDS, Traffic
from shared.metrics.rendering import rendered


def told(traffic):
    """Value by name and labels."""
    (family,) = text_string_to_metric_families("".join(rendered([traffic])))
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in family.samples}


def value(samples, name, **labels):
    return samples[f"kirana_edge_request_seconds_{name}", frozenset(labels.items())]


def test_requests_are_counted_by_route_method_and_status_with_their_time():
    traffic = Traffic()
    for seconds in (0.003, 0.3, 30.0):
        traffic.note("get_cart", "GET", 200, seconds)
    traffic.note("get_cart", "GET", 503, 0.1)

    seen = told(traffic)

    well = {"route": "get_cart", "method": "GET", "status": "200"}
    assert value(seen, "count", **well) == 3
    assert value(seen, "count", **well | {"status": "503"}) == 1
    assert value(seen, "sum", **well) == 30.303
    assert [value(seen, "bucket", **well, le=le) for le in ("0.0025", "0.005", "0.5", "10.0", "+Inf")] == [
        0,
        1,
        2,
        2,
        3,
    ]


def test_a_time_on_a_bound_is_within_it():
    traffic = Traffic()
    for bound in BOUNDS:
        traffic.note("get_cart", "GET", 200, bound)

    seen = told(traffic)

    labels = {"route": "get_cart", "method": "GET", "status": "200"}
    assert [value(seen, "bucket", **labels, le=str(bound)) for bound in BOUNDS] == list(range(1, len(BOUNDS) + 1))


def test_whatever_clients_and_services_make_up_the_series_stay_few():
    traffic = Traffic()
    for number in range(500):
        traffic.note("none", f"METHOD{number}", 404, 0.001)
        traffic.note("to_service", "GET", 1000 + number, 0.001)

    seen = told(traffic)

    assert value(seen, "count", route="none", method="other", status="404") == 500
    assert value(seen, "count", route="to_service", method="GET", status="other") == 500
    assert len({labels for name, labels in seen if name.endswith("_count")}) == 2


def test_without_requests_nothing_is_claimed():
    assert not list(rendered([Traffic()]))
