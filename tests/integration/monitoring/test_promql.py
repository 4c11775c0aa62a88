"""The reader of queries, on which the claims about metrics stand, sees every metric and nothing else."""

import pytest

from tests.builders.promql import metrics_of


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("up", {"up"}),
        ('sum by (route, le) (rate(kirana_a_bucket{le="0.5", x=~"up{1}|b"}[5m]))', {"kirana_a_bucket"}),
        ("a / on (instance) group_left (job) b offset 5m > 14.4 * 0.001", {"a", "b"}),
        ("slo:requests_failed:ratio1h > 1e3 and vector(1)", {"slo:requests_failed:ratio1h"}),
        ('label_replace(max by (service) (c), "job", "$1", "service", "(.*)") unless d', {"c", "d"}),
        ("topk(10, 60 * sum without (worker) (e)) or scalar(sum(f)) == bool 2", {"e", "f"}),
    ],
    ids=["bare", "labels", "matching", "recorded", "texts", "numbers"],
)
def test_the_metrics_of_a_query_are_found(query, found):
    assert metrics_of(query) == found
