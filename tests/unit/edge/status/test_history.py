import pytest

from edge.status.history import BOUNDS, SLOT_SECONDS, SLOTS, History, percentile


class Walls:
    """A wall clock and a monotonic one that go together until the wall clock is set."""

    def __init__(self):
        self.wall, self.monotonic = 1_000_000.0, 50.0

    def pass_by(self, seconds):
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def clock():
    return Walls()


@pytest.fixture
def history(clock):
    return History(wall=lambda: clock.wall)


def test_what_was_answered_is_told_by_slot_and_kind(history, clock):
    for status in (200, 304, 404, 429, 500, 503, 499):
        history.note(status, 0.001, clock.monotonic)

    [[number, refused, failed, latency]] = history.told()

    assert number == 1_000_000 // SLOT_SECONDS
    assert (refused, failed, sum(latency.values())) == (2, 2, 7)
    assert history.requests == 7


def test_a_new_slot_begins_with_its_time_and_not_with_a_request(history, clock):
    history.note(200, 0.001, clock.monotonic)
    clock.pass_by(SLOT_SECONDS * 3)
    history.note(200, 0.001, clock.monotonic)
    clock.pass_by(SLOT_SECONDS - 0.01)
    history.note(200, 0.001, clock.monotonic)

    assert [(slot[0] - 500_000, sum(slot[3].values())) for slot in history.told()] == [(0, 1), (3, 2)]


def test_memory_is_bounded_and_old_slots_go(history, clock):
    for _ in range(3 * SLOTS):
        history.note(200, 0.001, clock.monotonic)
        clock.pass_by(SLOT_SECONDS)

    assert len(history.told()) <= SLOTS
    assert len(history._slots) <= SLOTS

    clock.pass_by(SLOT_SECONDS * SLOTS)
    assert history.told() == []


def test_a_clock_that_is_set_back_loses_nothing(history, clock):
    history.note(200, 0.001, clock.monotonic)
    clock.wall -= 3600
    clock.monotonic += 10
    history.note(200, 0.001, clock.monotonic)

    assert sum(history._slot.latency) == 2


@pytest.mark.parametrize("seconds", [0.0, 0.0003, 0.004, 0.07, 1.5, 8.0], ids=str)
def test_a_percentile_is_never_below_the_truth_and_at_most_a_quarter_above(history, clock, seconds):
    history.note(200, seconds, clock.monotonic)
    [[_, _, _, latency]] = history.told()

    read = percentile([(int(at), count) for at, count in latency.items()], 0.99)

    assert seconds * 1000 <= read + 0.01
    assert read <= max(BOUNDS[0] * 1000, seconds * 1250) + 0.01


def test_percentiles_are_those_of_the_ranks():
    latency = [(10, 50), (20, 49), (30, 1)]

    assert percentile(latency, 0.5) == round(1000 * BOUNDS[10], 2)
    assert percentile(latency, 0.99) == round(1000 * BOUNDS[20], 2)
    assert percentile(latency, 1.0) == round(1000 * BOUNDS[30], 2)
    assert percentile([], 0.5) is None


def test_what_takes_for_ever_is_counted(history, clock):
    history.note(504, 1e9, clock.monotonic)

    assert history.told()[0][3] == {str(len(BOUNDS)): 1}
