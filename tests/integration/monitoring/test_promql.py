"""The reader of queries, on which the claims about metrics stand, sees every metric and label and nothing else."""

import pytest

from tests.builders.promql import Matcher, grouped_by, matchers_of, metrics_of


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


def test_the_matchers_of_a_query_are_found_with_braces_and_quotes_in_their_texts():
    query = """sum by (route, le) (rate(a{x=~"up{1}|b", y!="say \\"no\\""}[5m])) / b{} and c:d{z!~"$z"} or e"""

    assert matchers_of(query) == [
        Matcher("a", "x", "=~", "up{1}|b"),
        Matcher("a", "y", "!=", 'say "no"'),
        Matcher("c:d", "z", "!~", "$z"),
    ]


@pytest.mark.parametrize(
    ("matcher", "patterns"),
    [
        (Matcher("a", "x", "=", "a.b"), [r"a\.b"]),
        (Matcher("a", "x", "=~", "5..|499"), ["5..", "499"]),
        (Matcher("a", "x", "=~", "(rpc|evt)-.*"), ["(rpc|evt)-.*"]),
        (Matcher("a", "x", "=~", "$route"), [".*"]),
    ],
    ids=["plain", "several", "nested", "variable"],
)
def test_what_a_matcher_names_is_told_apart(matcher, patterns):
    assert matcher.alternatives == patterns


def test_the_labels_by_which_a_query_groups_are_found():
    query = 'sum by (a, b) (x{c="by (d)"}) / on (e) group_left (f) y unless ignoring (g) z'

    assert grouped_by(query) >= set("abefg")
