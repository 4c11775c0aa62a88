import pytest

from edge.rpc.consumers import Consumers


def test_a_service_never_looked_at_may_be_called():
    assert not Consumers(["catalog"]).absent("catalog")


@pytest.mark.parametrize(("seen", "times"), [((0, 0, 2, 3), 1), ((1, 2), 1), ((1, 0, 0, 2, 3), 2), ((0, 0), 0)])
def test_a_service_is_told_of_when_it_is_first_seen_on_a_link_and_each_time_it_returns(seen, times):
    returned: list[str] = []
    consumers = Consumers(["catalog"], on_return=returned.append)

    for count in seen:
        consumers.note("catalog", count)

    assert returned == ["catalog"] * times
    assert consumers.count("catalog") == seen[-1]


def test_a_service_without_consumers_is_absent_and_no_other_is():
    consumers = Consumers(["catalog", "cart"])

    consumers.note("catalog", 0)

    assert consumers.absent("catalog")
    assert not consumers.absent("cart")
