from dataclasses import dataclass, field
from time import monotonic

from hypothesis import given
from hypothesis import strategies as st

from edge import reception as module
from edge.reception import MODEST, Reception

NOW = 1000.0


@dataclass(eq=False)
class Guest:
    holder: str = "10.0.0.1"
    waits_since: float | None = NOW - 10
    gone: list["Guest"] = field(default_factory=list)

    def leave(self):
        self.gone.append(self)


def those_who_leave(guests, count, now):
    return module.those_who_leave([(guest, guest.waits_since) for guest in guests], count, now)


def a_full_house(*guests):
    reception = Reception(most=len(guests))
    for guest in guests:
        reception.welcome(guest)
    return reception


def test_of_those_we_wait_for_who_waits_longest_goes():
    guests = [Guest(waits_since=NOW - age) for age in (3, 30, 7)]

    assert those_who_leave(guests, 2, NOW) == [guests[1], guests[2]]


def test_who_waits_for_us_stays():
    busy, slow = [Guest(waits_since=None) for _ in range(5)], Guest(waits_since=monotonic() - 9)
    reception = a_full_house(*busy, slow)

    assert [reception.make_room(), reception.make_room()] == [True, False]
    assert [bool(guest.gone) for guest in (*busy, slow)] == [False] * 5 + [True]


def ages(count, age, holder):
    return [Guest(holder, waits_since=monotonic() - age) for _ in range(count)]


def test_who_holds_more_places_than_is_modest_gives_up_his_before_anybody_else():
    patient, greedy = ages(900, 29, "10.0.0.1"), ages(MODEST + 1, 2, "10.0.0.66")
    for number, guest in enumerate(patient):
        guest.holder = f"10.0.1.{number}"
    reception = a_full_house(*patient, *greedy)

    reception.make_room()

    assert sum(bool(guest.gone) for guest in greedy) == 5
    assert not any(guest.gone for guest in patient)


def test_of_two_who_are_greedy_the_greedier_gives_up_his():
    one, other = ages(MODEST + 1, 20, "10.0.0.65"), ages(MODEST + 2, 2, "10.0.0.66")
    reception = a_full_house(*one, *other)

    reception.make_room()

    assert not any(guest.gone for guest in one)


def test_who_was_greedy_is_not_any_more_when_he_has_given_up_enough():
    slow, greedy = ages(50, 29, "10.0.0.1"), ages(MODEST + 3, 2, "10.0.0.66")
    reception = a_full_house(*slow, *greedy)

    for _ in range(4):
        reception.make_room()

    assert [sum(bool(guest.gone) for guest in guests) for guests in (greedy, slow)] == [3, 1]


def test_many_customers_behind_one_address_are_not_greedy_yet():
    slow, customers = ages(1, 29, "10.0.0.1"), ages(MODEST, 2, "10.0.0.66")
    reception = a_full_house(*slow, *customers)

    reception.make_room()

    assert slow[0].gone


def test_who_has_only_just_come_goes_last_but_goes():
    fresh, slow = ages(MODEST + 1, 0.1, "10.0.0.66"), ages(1, 2, "10.0.0.1")
    reception = a_full_house(*fresh, *slow)

    reception.make_room()
    assert (bool(slow[0].gone), any(guest.gone for guest in fresh)) == (True, False)

    reception.make_room()
    assert sum(bool(guest.gone) for guest in fresh) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, NOW)), max_size=60), st.integers(1, 70))
def test_as_many_leave_as_are_asked_to_as_far_as_we_wait_for_so_many(parts, count):
    guests = [Guest(holder, since) for holder, since in parts]

    leaving = those_who_leave(guests, count, NOW)

    assert len(leaving) == min(count, len(guests))
    assert len({id(guest) for guest in leaving}) == len(leaving)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0, 30)), min_size=1, max_size=60))
def test_room_is_made_as_long_as_we_wait_for_anybody_and_then_all_who_wait_for_us_are_left(parts):
    now = monotonic()
    guests = [Guest(holder, None if age is None else now - age) for holder, age in parts]
    reception = a_full_house(*guests)

    while reception.make_room():
        pass

    assert [bool(guest.gone) for guest in guests] == [guest.waits_since is not None for guest in guests]
    assert reception.open_connections == sum(guest.waits_since is None for guest in guests)


def test_room_is_made_for_some_at_once_and_counted():
    guests = [Guest(waits_since=monotonic() - 10) for _ in range(400)]
    reception = a_full_house(*guests)

    assert reception.make_room()
    assert sum(bool(guest.gone) for guest in guests) == 2
    assert reception.cut == {"full": 2, "late": 0, "unread": 0}


def test_only_some_are_looked_at_and_another_time_others():
    slow = [Guest(waits_since=monotonic() - 10) for _ in range(10)]
    slowest = Guest(waits_since=monotonic() - 20)
    reception = a_full_house(*slow, slowest)

    for _ in range(3):
        reception.make_room()

    assert slowest.gone


def test_who_holds_many_places_is_known_though_only_some_are_looked_at():
    customer = Guest("10.0.0.1", waits_since=monotonic() - 29)
    greedy = [Guest("10.0.0.66", waits_since=monotonic() - 2) for _ in range(MODEST + 1)]
    reception = a_full_house(customer, *greedy)

    reception.make_room()

    assert not customer.gone


def test_a_place_is_free_from_the_moment_that_its_guest_is_told_to_leave():
    guest = Guest(waits_since=monotonic() - 9)
    reception = a_full_house(guest)

    reception.make_room()
    reception.farewell(guest)

    assert reception.open_connections == 0


def test_where_everybody_waits_for_us_there_is_no_room_and_the_one_who_came_is_counted():
    reception = a_full_house(Guest(waits_since=None))

    assert not reception.make_room()
    assert reception.cut["full"] == 1
