from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.reception import MODEST, Reception, holder_of, those_who_leave

NOW = 1000.0


@dataclass(eq=False)
class Guest:
    holder: str = "10.0.0.1"
    waits_since: float | None = NOW - 10
    gone: list["Guest"] = field(default_factory=list)

    def leave(self):
        self.gone.append(self)


def test_of_those_we_wait_for_who_waits_longest_goes():
    guests = [Guest(waits_since=NOW - age) for age in (3, 30, 7)]

    assert those_who_leave(guests, 2, NOW) == [guests[1], guests[2]]


def test_who_waits_for_us_stays():
    assert those_who_leave([Guest(waits_since=None)] * 5, 3, NOW) == []


def test_who_holds_more_places_than_is_modest_gives_up_his_before_anybody_else():
    greedy = [Guest("10.0.0.66", waits_since=NOW - 2) for _ in range(MODEST + 1)]
    patient = Guest("10.0.0.1", waits_since=NOW - 29)

    assert those_who_leave([patient, *greedy], 1, NOW)[0].holder == "10.0.0.66"


def test_many_customers_behind_one_address_are_not_greedy_yet():
    customers = [Guest("10.0.0.66", waits_since=NOW - 2) for _ in range(MODEST)]
    slow = Guest("10.0.0.1", waits_since=NOW - 29)

    assert those_who_leave([*customers, slow], 1, NOW) == [slow]


def test_who_has_only_just_come_goes_last_but_goes():
    fresh = [Guest("10.0.0.66", waits_since=NOW - 0.1) for _ in range(MODEST + 1)]
    slow = Guest("10.0.0.1", waits_since=NOW - 2)

    assert those_who_leave([*fresh, slow], 1, NOW) == [slow]
    assert len(those_who_leave([*fresh, slow], 3, NOW)) == 3


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0, NOW)), max_size=60), st.integers(1, 70))
def test_as_many_leave_as_are_asked_to_as_far_as_we_wait_for_so_many(parts, count):
    guests = [Guest(holder, since) for holder, since in parts]

    leaving = those_who_leave(guests, count, NOW)

    assert len(leaving) == min(count, sum(guest.waits_since is not None for guest in guests))
    assert len({id(guest) for guest in leaving}) == len(leaving)


def test_room_is_made_for_some_at_once_and_counted():
    reception, guests = Reception(most=400), [Guest() for _ in range(400)]

    assert reception.make_room(guests)
    assert sum(bool(guest.gone) for guest in guests) == 2
    assert reception.cut == {"full": 2, "late": 0, "unread": 0}


def test_where_everybody_waits_for_us_there_is_no_room_and_the_one_who_came_is_counted():
    reception = Reception()

    assert not reception.make_room([Guest(waits_since=None)])
    assert reception.cut["full"] == 1


@pytest.mark.parametrize(
    ("address", "holder"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a:b", "a:b"),
    ],
    ids=["ipv4", "ipv6", "its neighbour", "with a zone", "none", "no address"],
)
def test_a_site_counts_as_one(address, holder):
    assert holder_of(address) == holder
