from types import SimpleNamespace

import pytest

from edge.rpc.consumers import Consumers

pytestmark = pytest.mark.anyio


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


class EndingLink:
    """On which nobody was seen to listen, and which then fell silent."""

    is_blocked = False

    def __init__(self):
        self.connection, self.lost = self, []
        self._looks = 0

    async def channel(self, *, publisher_confirms):
        assert not publisher_confirms
        return self

    async def queue_declare(self, _queue, **how):
        assert how["passive"]
        self._looks += 1
        if self._looks > 1:
            raise TimeoutError
        return SimpleNamespace(consumer_count=0)

    def lose(self, reason):
        self.lost.append(reason)


async def test_what_was_seen_on_a_link_is_forgotten_with_it():
    absences: list[str] = []
    link, consumers = EndingLink(), Consumers(["catalog"], on_absence=absences.append)

    with pytest.raises(TimeoutError):
        await consumers.follow(link)

    assert absences == ["catalog"]
    assert consumers.count("catalog") is None
    assert not consumers.absent("catalog")
    assert link.lost == ["the broker is silent"]
