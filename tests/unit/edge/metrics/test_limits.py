from collections import Counter
from types import SimpleNamespace

from edge.metrics.limits import LimitState


def samples(**limiter):
    known = {
        "is_local": False,
        "counts": Counter(shared=0, local=0, unjudged=0),
        "refused": Counter(),
        "batch_sizes": Counter(),
    }
    state = LimitState(SimpleNamespace(**(known | limiter)))
    return {
        (sample.name, *sample.labels.values()): sample.value for family in state.collect() for sample in family.samples
    }


def test_an_alarm_sees_that_each_worker_judges_alone():
    assert samples()["kirana_edge_limits_state",] == 0
    assert samples(is_local=True)["kirana_edge_limits_state",] == 1


def test_refusals_are_told_by_limit_and_checks_by_who_judged():
    told = samples(refused=Counter({"browse-address": 3}), counts=Counter(shared=8, local=2))

    assert told["kirana_edge_limit_refusals_total", "browse-address"] == 3
    assert told["kirana_edge_limit_checks_total", "shared"] == 8
    assert told["kirana_edge_limit_checks_total", "local"] == 2


def test_requests_that_asked_together_add_up():
    told = samples(batch_sizes=Counter({1: 5, 40: 2}))

    assert told["kirana_edge_limit_batch_size_sum",] == 85
    assert told["kirana_edge_limit_batch_size_count",] == 7
