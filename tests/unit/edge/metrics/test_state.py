from collections import Counter
from types import SimpleNamespace

from edge.metrics.state import WorkerState


def a_lane(*, waiting=0, counts=(), batch_sizes=()):
    machine = SimpleNamespace(waiting=waiting, counts=Counter(dict(counts)), batch_sizes=Counter(dict(batch_sizes)))
    return SimpleNamespace(coalescer=SimpleNamespace(machine=machine))


def a_worker(*, lanes=None, posts=None, consumers=None, pending=(), connected=True):
    posts = posts or {"catalog": {"breaker": "closed", "in_flight": 0, "waiting": 0, "methods": {}}}
    return WorkerState(
        broker=SimpleNamespace(is_connected=connected),
        client=SimpleNamespace(lanes=lanes or {}, counts=Counter(retries=4)),
        guard=SimpleNamespace(states=lambda: posts),
        consumers=SimpleNamespace(count=(consumers or {}).get),
        pending=SimpleNamespace(counts=Counter(dict(pending))),
    )


def samples(worker):
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in worker.collect()
        for sample in family.samples
    }


def test_a_call_that_waits_in_its_lane_is_not_under_way():
    posts = {"catalog": {"breaker": "closed", "in_flight": 10, "waiting": 2, "methods": {}}}

    found = samples(a_worker(posts=posts, lanes={"catalog": a_lane(waiting=3)}))

    assert found["kirana_rpc_in_flight", "catalog", "caller"] == 7
    assert found["kirana_rpc_waiting", "catalog", "caller"] == 5


def test_answers_that_nobody_waits_for_count_wherever_they_are_noticed():
    lanes = {"catalog": a_lane(counts={"late": 2}), "cart": a_lane(counts={"late": 1})}

    assert samples(a_worker(lanes=lanes, pending={"unclaimed": 5}))["kirana_rpc_late_replies_total",] == 8


def test_the_calls_of_a_lanes_frames_add_up():
    found = samples(a_worker(lanes={"catalog": a_lane(batch_sizes={1: 5, 40: 2})}))

    assert found["kirana_rpc_batch_size_sum", "request", "catalog"] == 85
    assert found["kirana_rpc_batch_size_count", "request", "catalog"] == 7


def test_a_breaker_is_a_number_that_grows_with_the_trouble():
    states = ("closed", "half_open", "open")
    posts = {state: {"breaker": state, "in_flight": 0, "waiting": 0, "methods": {}} for state in states}

    found = samples(a_worker(posts=posts))

    assert [found["kirana_rpc_breaker_state", state] for state in states] == [0, 1, 2]


def test_a_method_tells_its_breaker_beside_that_of_its_service():
    methods = {"get_product": {"breaker": "open"}, "list_products": {"breaker": "closed"}}
    posts = {"catalog": {"breaker": "closed", "in_flight": 0, "waiting": 0, "methods": methods}}

    found = samples(a_worker(posts=posts))

    assert found["kirana_rpc_breaker_state", "catalog"] == 0
    assert found["kirana_rpc_call_breaker_state", "get_product", "catalog"] == 2
    assert found["kirana_rpc_call_breaker_state", "list_products", "catalog"] == 0


def test_what_was_never_seen_is_not_told_as_nobody():
    found = samples(a_worker(consumers={"catalog": None}))

    assert ("kirana_rpc_consumers", "catalog") not in found
    assert samples(a_worker(consumers={"catalog": 0}))["kirana_rpc_consumers", "catalog"] == 0


def test_a_lost_broker_shows():
    assert samples(a_worker(connected=False))["kirana_broker_connected", "rpc"] == 0
