from edge.discovery.table import Instance, InstanceTable
from edge.metrics.upstreams import UpstreamState
from edge.upstreams.policy import HttpPolicy
from edge.upstreams.upstreams import Upstreams
from shared.metrics.families import FAMILIES
from shared.resilience.breaker import BreakerState

OURS = {each.name.removesuffix("_total") for each in FAMILIES if each.name.startswith("kirana_http_")}


def samples(upstreams):
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in UpstreamState(upstreams).collect()
        for sample in family.samples
    }


def test_every_metric_can_be_seen_before_there_is_any_route():
    told = {name.removesuffix("_total") for name, *_ in samples(Upstreams())}

    assert told == OURS


def test_what_came_of_requests_is_told_by_route_and_how_services_are_by_name():
    table = InstanceTable()
    table.replace("things", (Instance("a", "things", "127.0.0.1", 1), Instance("b", "things", "127.0.0.1", 2)))
    upstreams = Upstreams(table)
    way = upstreams.way("pass", HttpPolicy(service="things"))
    way.settle(way.admit(), "answered", seconds=0.1)
    lease = way.pick(key=b"", named=None, stays=b"")
    way.breaker.rule(BreakerState.OPEN)

    told = samples(upstreams)

    assert told["kirana_http_requests_total", "answered", "pass"] == 1
    assert told["kirana_http_breaker_state", "pass"] == 2
    assert told["kirana_http_instances", "passing", "things"] == 2
    assert told["kirana_http_in_flight", "things"] == 1
    lease.release()
    assert samples(upstreams)["kirana_http_in_flight", "things"] == 0


def test_a_forgotten_place_comes_back_by_itself():
    table = InstanceTable()
    table.replace("things", (Instance("a", "things", "127.0.0.1", 1),))
    upstreams = Upstreams(table)
    way = upstreams.way("pass", HttpPolicy(service="things"))

    way.pick(key=b"", named=None, stays=b"")

    assert samples(upstreams)["kirana_http_in_flight", "things"] == 0


def test_a_route_keeps_what_it_knows_as_long_as_its_policy_says_the_same():
    upstreams = Upstreams()
    way = upstreams.way("pass", HttpPolicy(service="things"))

    assert upstreams.way("pass", HttpPolicy(service="things")) is way
    way.outcomes["answered"] = 5
    other = upstreams.way("pass", HttpPolicy(service="things", retries=0))
    assert other is not way
    assert other.outcomes["answered"] == 5
