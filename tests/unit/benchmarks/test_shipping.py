"""How the benchmark of the shipper compares what requests take while Elasticsearch is there and while it is away."""

from benchmarks.shipping import difference, in_order


def test_there_and_away_follow_each_other_and_neither_always_comes_first():
    places = [(in_order(number).index("there"), in_order(number).index("away")) for number in range(4)]

    assert {abs(there - away) for there, away in places} == {1}
    assert [there < away for there, away in places] == [True, False, True, False]


def test_what_is_compared_was_measured_in_the_same_round():
    """The machine became ten times as slow on the way; what Elasticsearch's absence costs did not."""
    there, away = [1.0, 10.0, 2.0], [1.5, 10.4, 2.1]

    assert difference(there, away) == "+0.40 ms (+0.10 to +0.50), median of 3 rounds"
    assert difference(away, there).startswith("-0.40 ms (-0.50 to -0.10)")
